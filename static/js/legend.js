// The legend in the chart's corner: symbol, timeframe, and the values of the bar under the crosshair.

import { unfinished } from "./newest.js";
import { priceFormat, shortVolume, signed } from "./numbers.js";
import { studyName } from "./studies.js";
import { color } from "./colors.js";

const TYPE_NAMES = { bars: "bars", line: "line of closes", area: "area of closes", "heikin-ashi": "Heikin-Ashi; numbers are the true bar's" };
const percent = priceFormat(2);
const element = (name) => document.getElementById(name);

/** Write the symbol, the timeframe and the badges of the bars shown. */
export function showLegend(shown, view) {
  element("legend").hidden = false;
  element("legend-symbol").textContent = shown.fullSymbol;
  element("legend-name").textContent = [shown.timeframeLabel, shown.instrument?.description, TYPE_NAMES[view.type]].filter(Boolean).join(" · ");
  element("legend-badges").replaceChildren(...badges(shown));
}

/** Hide the legend. */
export function hideLegend() {
  element("legend").hidden = true;
}

/** Write the values of the bar at `index`; null means the newest bar. */
export function showBar(shown, index) {
  const at = index ?? shown.bars.length - 1;
  element("legend-values").replaceChildren(...valuesOf(shown, at));
  const lines = shown.studyLines.map((line) => studyAt(line, at, shown));
  element("legend-studies").replaceChildren(...lines, ...(shown.other ? [otherAt(shown.other, at)] : []));
}

/** Return one bar in words, for a screen reader. */
export function barInWords(shown, index) {
  const { bars, formatPrice, labels } = shown;
  const volume = bars.hasVolume ? `, volume ${shortVolume(bars.volume[index])}` : "";
  return `${labels.exact(bars.time[index])}: open ${formatPrice(bars.open[index])}, high ${formatPrice(bars.high[index])}, low ${formatPrice(bars.low[index])}, close ${formatPrice(bars.close[index])}${volume}`;
}

function badges({ source, isLimited }) {
  const found = [];
  if (source === "sample") found.push(badge("synthetic", "Made up by the sample feed: no market data", "badge badge-sample"));
  if (isLimited) found.push(badge("no deeper history", "The feed holds no older bars for this account", "badge"));
  return found;
}

function badge(text, title, className) {
  const node = span(text, className);
  node.title = title;
  return node;
}

function valuesOf(shown, at) {
  const { bars, formatPrice, labels } = shown;
  const isLast = at === bars.length - 1;
  const before = at > 0 ? bars.close[at - 1] : bars.open[at];
  const change = bars.close[at] - before;
  const tone = change > 0 ? "up" : change < 0 ? "down" : "";
  const when = span("", "legend-when");
  when.append(span(labels.exact(bars.time[at]), "legend-time"));
  const found = isLast ? unfinished(shown) : null;
  if (found) when.append(badge(`${found.word}, as of ${found.asOf}`, found.title, "badge badge-forming"));
  const nodes = [when];
  for (const [name, column] of [["O", "open"], ["H", "high"], ["L", "low"], ["C", "close"]]) {
    nodes.push(pair(name, formatPrice(bars[column][at]), tone));
  }
  const share = before ? ` (${signed((100 * change) / Math.abs(before), percent)}%)` : "";
  nodes.push(span(`${signed(change, formatPrice)}${share}`, `number legend-change ${tone}`));
  nodes.push(pair("Vol", shortVolume(bars.volume[at]), ""));
  return nodes;
}

function studyAt({ study, stroke, lines }, at, { formatPrice }) {
  const write = study.kind === "rsi" ? percent : formatPrice;
  const values = lines.map(({ values }) => valueIn(values, at, write));
  return named(studyName(study), stroke, values.length ? values.join("  ") : "needs intraday bars with volume");
}

/** Return the other symbol's close, or a note why there is none. */
function otherAt({ fullSymbol, values, note, formatPrice }, at) {
  return named(fullSymbol, color("--compare"), note ?? valueIn(values, at, formatPrice));
}

function valueIn(values, at, write) {
  return values[at] === null ? "–" : write(values[at]);
}

function named(name, stroke, text) {
  const node = span("", "legend-study");
  const label = span(name, "legend-study-name");
  label.style.color = stroke;
  node.append(label, " ", span(text, "number"));
  return node;
}

function pair(name, value, tone) {
  const node = span("", "pair");
  node.append(span(name, "muted"), " ", span(value, `number ${tone}`));
  return node;
}

function span(text, className) {
  const node = document.createElement("span");
  node.textContent = text;
  node.className = className;
  return node;
}
