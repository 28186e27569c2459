// The lines under the chart: what one is looking at, where to get it, and the newest bars.

import { barsUrl } from "./api.js";
import { ageInWords, shortVolume, wholeNumber } from "./numbers.js";
import { utcMinute } from "./times.js";

const N_ROWS = 30;
const SOURCES = { tradingview: "TradingView", sample: "Sample feed (synthetic)" };
const ADJUSTMENTS = { splits: "splits", dividends: "splits and dividends", none: "nothing" };
const element = (name) => document.getElementById(name);

/** Write what is shown. */
export function showFacts(shown, { url, query }) {
  element("facts-list").replaceChildren(...factsOf(shown).map(fact));
  element("facts-actions").hidden = false;
  element("details").href = element("details").dataset.address.replace("/0/", `/${shown.dataset}/`);
  for (const link of element("downloads").querySelectorAll("a")) {
    link.href = barsUrl(url, query, { format: link.dataset.format });
  }
  element("newest").hidden = false;
  if (element("newest").open) showRows(shown);
}

/** Write that nothing is shown. */
export function clearFacts() {
  element("facts-list").replaceChildren(fact(["Shown", "Nothing"]));
  element("facts-actions").hidden = element("newest").hidden = true;
}

/** Write the newest bars, newest first. */
export function showRows({ bars, labels, formatPrice }) {
  const rows = [];
  for (let i = bars.length - 1; i >= Math.max(0, bars.length - N_ROWS); i--) {
    const prices = [bars.open[i], bars.high[i], bars.low[i], bars.close[i]].map(formatPrice);
    rows.push(row([labels.exact(bars.time[i]), ...prices, shortVolume(bars.volume[i])]));
  }
  element("newest-rows").replaceChildren(...rows);
}

function factsOf(shown) {
  const { bars, instrument, fetchedAt } = shown;
  const age = ageInWords((Date.now() - Date.parse(fetchedAt)) / 1000);
  return [
    ["Source", SOURCES[shown.source] ?? shown.source],
    ["Symbol", shown.fullSymbol, feedOf(shown)],
    ["Timeframe", shown.timeframeLabel],
    ["Bars", barsHeld(shown)],
    ["Range", `${utcMinute(bars.time[0])} – ${utcMinute(bars.time.at(-1))} UTC`],
    ["Fetched", age, `${fetchedAt.slice(0, 19).replace("T", " ")} UTC`],
    ["From", shown.isNew ? "a new fetch" : shown.isStale ? "the cache, older than asked for" : "the cache"],
    ["Last bar", lastBar(shown)],
    ["Session", shown.session],
    ["Adjusted for", ADJUSTMENTS[shown.adjustment]],
    ["Delay", instrument?.delay_s ? `${Math.round(instrument.delay_s / 60)} min behind the exchange` : null],
    ["Hash", shown.contentHash?.slice(0, 12), `SHA-256 over the bars: ${shown.contentHash}`],
  ].filter(([, text]) => text);
}

/** The feed that really answered, where that is not the symbol's own exchange. */
function feedOf({ fullSymbol, instrument }) {
  const feed = instrument?.full_name;
  return feed && feed !== fullSymbol ? `The feed that answered: ${feed}` : "";
}

function barsHeld({ bars, nBars }) {
  const held = wholeNumber(bars.length);
  return bars.length < nBars ? `${held} (${wholeNumber(nBars)} asked)` : held;
}

function lastBar({ lastBarFinal }) {
  if (lastBarFinal === null || lastBarFinal === undefined) return "final or not: the feed did not say";
  return lastBarFinal ? "final" : "still forming";
}

function fact([name, text, title]) {
  const group = document.createElement("div");
  const [term, value] = [document.createElement("dt"), document.createElement("dd")];
  [term.textContent, value.textContent] = [name, text];
  if (title) value.title = title;
  group.append(term, value);
  return group;
}

function row(texts) {
  const line = document.createElement("tr");
  texts.forEach((text, i) => {
    const cell = document.createElement(i === 0 ? "th" : "td");
    if (i === 0) cell.scope = "row";
    cell.textContent = text;
    line.append(cell);
  });
  return line;
}
