// The part under the chart: facts of the bars, links to download them, and a table of the newest bars.

import { coverageInWords } from "../bars/coverage.js";
import { closedUntil } from "../bars/market.js";
import { unfinished } from "../bars/newest.js";
import { labelOf } from "../bars/timeframes.js";
import { barsUrl } from "../shared/api.js";
import { ageInWords, shortVolume, wholeNumber } from "../shared/numbers.js";
import { adjustments, sources } from "../shared/page-data.js";
import { utcMinute } from "../shared/times.js";
import { hideLines, showLines } from "./snippets.js";

const N_ROWS = 30;
const AGE_MS = 10_000;
const element = (name) => document.getElementById(name);
const age = document.createElement("span");

let ageTimer = null;

/** Write the facts of the bars shown. */
export function showFacts(shown, { url, query }) {
  element("facts-list").replaceChildren(...factsOf(shown).map(fact));
  keepAge(shown.fetchedAt);
  element("facts-actions").hidden = false;
  // Bars of an archive belong to no dataset, so their details are those of the series.
  const { address, archiveAddress } = element("details").dataset;
  element("details").href = (shown.dataset ? address : archiveAddress).replace("/0/", `/${shown.dataset ?? shown.archive}/`);
  linkToWatchlists(shown);
  showLines(shown, { url, query });
  for (const link of element("downloads").querySelectorAll("a")) {
    link.href = barsUrl(url, query, { format: link.dataset.format });
  }
  element("newest").hidden = false;
  if (element("newest").open) showRows(shown);
}

/** Lead to the form that adds the symbol to a watchlist; only users who may change one have the link. */
function linkToWatchlists({ fullSymbol, timeframe, madeFrom }) {
  const link = element("watch");
  if (link) link.href = `${link.dataset.address}?${new URLSearchParams({ symbol: fullSymbol, timeframe: madeFrom || timeframe })}`;
}

/** Return the origin of the bars in words: a new fetch, or the cache. */
export function originOf({ isNew, isStale, tookMs }) {
  if (isNew) return `a new fetch, done in ${(tookMs / 1000).toFixed(1)} s`;
  return isStale ? "the cache, older than requested" : "the cache";
}

/** Clear the facts. */
export function clearFacts() {
  clearInterval(ageTimer);
  element("facts-list").replaceChildren(fact(["Shown", "Nothing"]));
  element("facts-actions").hidden = element("newest").hidden = true;
  hideLines();
}

/** Fill the table with the newest bars, newest first. */
export function showRows({ bars, labels, formatPrice }) {
  const rows = [];
  for (let i = bars.length - 1; i >= Math.max(0, bars.length - N_ROWS); i--) {
    const prices = [bars.open[i], bars.high[i], bars.low[i], bars.close[i]].map(formatPrice);
    rows.push(row([labels.exact(bars.time[i]), ...prices, shortVolume(bars.volume[i])]));
  }
  element("newest-rows").replaceChildren(...rows);
}

function factsOf(shown) {
  const { bars, fetchedAt } = shown;
  return [
    ["Source", sources[shown.source] ?? shown.source],
    ["Feed", feedOf(shown)],
    ["Timeframe", shown.timeframeLabel],
    ["Made from", shown.madeFrom && labelOf(shown.madeFrom), "TradingView does not send this timeframe. The bars are made of shorter ones, and are whole."],
    ["Bars", barsHeld(shown)],
    ["Range", `${utcMinute(bars.time[0])} – ${utcMinute(bars.time.at(-1))} UTC`],
    ["Covered", coverageInWords(shown)],
    ["Fetched", [`${fetchedAt.slice(0, 19).replace("T", " ")} UTC, `, age]],
    ["From", originOf(shown)],
    ["Last bar", lastBar(shown)],
    ["Market", closedUntil(shown)],
    ["Session", shown.session],
    ["Adjusted for", adjustments[shown.adjustment]?.toLowerCase()],
    ["Delay", delayOf(shown)],
    ["Hash", shown.contentHash?.slice(0, 12), `SHA-256 over the bars: ${shown.contentHash}`],
  ].filter(([, text]) => text);
}

/** Write the age of the fetch, and keep it up to date while the page stays open. */
function keepAge(fetchedAt) {
  const write = () => (age.textContent = ageInWords((Date.now() - Date.parse(fetchedAt)) / 1000));
  write();
  clearInterval(ageTimer);
  ageTimer = setInterval(write, AGE_MS);
}

/** Return the feed's name of the symbol, and the feed that answered if it is another one. */
function feedOf({ fullSymbol, instrument }) {
  const asked = instrument?.pro_name || fullSymbol;
  const answered = instrument?.full_name || asked;
  return asked === answered ? asked : `${asked}, answered by ${answered}`;
}

function delayOf({ instrument }) {
  const delay = instrument?.delay_s;
  if (delay === null || delay === undefined) return null;
  return delay ? `${Math.round(delay / 60)} min behind the exchange` : "none";
}

function barsHeld({ bars, nBars }) {
  const held = wholeNumber(bars.length);
  return bars.length < nBars ? `${held} (${wholeNumber(nBars)} requested)` : held;
}

function lastBar(shown) {
  if (shown.lastBarFinal === null || shown.lastBarFinal === undefined) return "unknown: the feed did not say whether it is final";
  const found = unfinished(shown);
  return found ? `${found.word}, as of ${found.asOf}` : "final";
}

function fact([name, text, title]) {
  const group = document.createElement("div");
  const [term, value] = [document.createElement("dt"), document.createElement("dd")];
  term.textContent = name;
  value.append(...[text].flat());
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
