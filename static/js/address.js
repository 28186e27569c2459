// The address bar holds the whole state, so that a link opens the same chart.

import { formatStudies, parseStudies } from "./studies.js";

export const TYPES = ["candles", "bars", "line", "area", "heikin-ashi"];
export const SCALES = ["linear", "log", "percent"];
export const ZONES = ["utc", "exchange", "local"];

// What identifies the bars, and what an address says when it does not say it.
export const SERIES_DEFAULTS = {
  symbol: "", exchange: "", timeframe: "1h", n_bars: "5000", session: "regular", adjustment: "splits",
};
export const VIEW_DEFAULTS = { type: "candles", scale: "linear", zone: "utc", studies: [], breaks: false, compare: "", range: null };

/** Return `{series, view}` as the address says; what it does not say is left out. */
export function readAddress(search = location.search) {
  const parameters = new URLSearchParams(String(search));
  const series = {};
  for (const name of Object.keys(SERIES_DEFAULTS)) {
    if (parameters.has(name)) series[name] = parameters.get(name).trim();
  }
  return { series, view: readView(parameters) };
}

/** Return the query string that says `series` and `view`. */
export function formatAddress(series, view) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(series)) {
    const isAlways = ["symbol", "exchange", "timeframe", "n_bars"].includes(name);
    if (value && (isAlways || value !== SERIES_DEFAULTS[name])) parameters.set(name, value);
  }
  for (const name of ["type", "scale", "zone"]) {
    if (view[name] !== VIEW_DEFAULTS[name]) parameters.set(name, view[name]);
  }
  if (view.studies.length) parameters.set("studies", formatStudies(view.studies));
  if (view.breaks) parameters.set("breaks", "1");
  if (view.compare) parameters.set("compare", view.compare);
  if (view.range) {
    parameters.set("from", view.range.from);
    parameters.set("to", view.range.to);
  }
  // Colons and commas may stay as they are in a query: the link remains readable.
  return `?${parameters}`.replaceAll("%3A", ":").replaceAll("%2C", ",");
}

/** Return a symbol or an exchange in its one spelling, as the service does: NFC, ASCII letters upper case. */
export function canonicalName(text) {
  const upper = text.trim().normalize("NFC").replace(/[a-z]/g, (letter) => letter.toUpperCase());
  return upper.normalize("NFC");
}

/** Return `[exchange, symbol]` of what was typed: `BINANCE:BTCUSDT` alone says both. */
export function splitSymbol(symbol, exchange = "") {
  const typed = canonicalName(symbol);
  const match = /^([A-Z0-9_]{1,32}):(.+)$/.exec(typed);
  return match ? [match[1], match[2]] : [canonicalName(exchange), typed];
}

/** Whether a symbol without an exchange cannot be fetched: an expression names its exchanges itself. */
export function lacksExchange({ symbol, exchange }) {
  return symbol !== "" && exchange === "" && !symbol.includes(":");
}

function readView(parameters) {
  const view = {};
  const choose = (name, allowed) => {
    if (allowed.includes(parameters.get(name))) view[name] = parameters.get(name);
  };
  choose("type", TYPES);
  choose("scale", SCALES);
  choose("zone", ZONES);
  if (parameters.has("studies")) view.studies = parseStudies(parameters.get("studies"));
  if (parameters.has("breaks")) view.breaks = parameters.get("breaks") === "1";
  if (parameters.has("compare")) view.compare = canonicalName(parameters.get("compare"));
  const [from, to] = [Number(parameters.get("from")), Number(parameters.get("to"))];
  if (parameters.has("from") && from < to) view.range = { from, to };
  return view;
}
