// The page's address holds the whole state of the chart, so that a link opens the same chart.

import { queryOf, readSeries, SERIES_DEFAULTS } from "../shared/parameters.js";
import { knownZone } from "../shared/times.js";
import { formatStudies, parseStudies } from "../studies/studies.js";
import { canonicalName } from "../symbols/names.js";

export const TYPES = ["candles", "bars", "line", "area", "heikin-ashi"];
export const SCALES = ["linear", "log", "percent"];
const ZONES = ["utc", "exchange", "local"];

export const VIEW_DEFAULTS = { type: "candles", scale: "linear", zone: "utc", studies: [], breaks: false, gaps: false, compare: "", range: null };

/** Return `{series, view}` with the parameters that the address contains. */
export function readAddress(search = location.search) {
  return { series: readSeries(search), view: readView(new URLSearchParams(search)) };
}

/** Return the query string for `series` and `view`. */
export function formatAddress(series, view) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(queryOf(series))) {
    const isAlways = ["symbol", "exchange", "timeframe", "n_bars"].includes(name);
    if (isAlways || value !== SERIES_DEFAULTS[name]) parameters.set(name, value);
  }
  for (const name of ["type", "scale", "zone"]) {
    if (view[name] !== VIEW_DEFAULTS[name]) parameters.set(name, view[name]);
  }
  if (view.studies.length) parameters.set("studies", formatStudies(view.studies));
  for (const name of ["breaks", "gaps"]) if (view[name]) parameters.set(name, "1");
  if (view.compare) parameters.set("compare", view.compare);
  if (view.range) {
    parameters.set("from", view.range.from);
    parameters.set("to", view.range.to);
  }
  // A query may contain colons and commas; unescaped, the link is readable.
  return `?${parameters}`.replaceAll("%3A", ":").replaceAll("%2C", ",");
}

function readView(parameters) {
  const view = {};
  const choose = (name, allowed) => {
    if (allowed.includes(parameters.get(name))) view[name] = parameters.get(name);
  };
  choose("type", TYPES);
  choose("scale", SCALES);
  const zone = parameters.get("zone");
  if (ZONES.includes(zone) || knownZone(zone)?.includes("/")) view.zone = zone;
  if (parameters.has("studies")) view.studies = parseStudies(parameters.get("studies"));
  for (const name of ["breaks", "gaps"]) if (parameters.has(name)) view[name] = parameters.get(name) === "1";
  if (parameters.has("compare")) view.compare = canonicalName(parameters.get("compare"));
  const [from, to] = [Number(parameters.get("from")), Number(parameters.get("to"))];
  if (parameters.has("from") && from < to) view.range = { from, to };
  return view;
}
