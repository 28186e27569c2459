// The page with several charts. The address holds the whole layout; each chart is the chart page in a frame.

import { watchCopyButtons } from "../shared/copy.js";
import { placePopovers } from "../shared/popovers.js";
import { formatGrid, readGrid } from "./address.js";
import { Frames } from "./frames.js";
import { LayoutMenu } from "./layouts.js";

// The switch of each link between the charts.
const links = { symbol: document.getElementById("same-symbol"), timeframe: document.getElementById("same-timeframe") };
const { charts, isSameSymbol, isSameTimeframe } = readGrid(location.search);
let number = charts.length;

const frames = new Frames(document.getElementById("grid"), { onChange: (n, query) => [(charts[n] = query), writeAddress()] });

/** Return the present layout. Charts that a smaller layout hides are kept for the next larger one. */
function layout() {
  const shown = Array.from({ length: number }, (_, n) => charts[n] ?? "");
  return { charts: shown, isSameSymbol: links.symbol.checked, isSameTimeframe: links.timeframe.checked, current: frames.current };
}

function show(wanted) {
  number = wanted;
  frames.show(layout().charts);
  for (const link of document.querySelectorAll("#layout-numbers a")) link.setAttribute("aria-current", String(Number(link.dataset.charts) === number));
  writeAddress();
}

function writeAddress() {
  const address = formatGrid(layout());
  if (address !== location.search) history.replaceState(null, "", address);
}

function watchPage() {
  const menu = new LayoutMenu({ layout });
  placePopovers();
  watchCopyButtons();
  for (const [name, link] of Object.entries(links)) {
    link.addEventListener("change", () => {
      frames.linked[name] = link.checked;
      if (link.checked) frames.spread(name);
      writeAddress();
    });
  }
  menu.watchNumbers((wanted) => {
    if (wanted > 1) show(wanted);
    return wanted > 1;
  });
  addEventListener("keydown", ({ key, target }) => {
    const step = { ",": -1, ".": 1 }[key];
    if (step && !target.matches("input, select")) frames.step(step);
  });
}

links.symbol.checked = frames.linked.symbol = isSameSymbol;
links.timeframe.checked = frames.linked.timeframe = isSameTimeframe;
watchPage();
show(number);
