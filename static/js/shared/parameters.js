// The parameters that name a series of bars, as the page's address and the API spell them.

// With the values that an address may leave out.
export const SERIES_DEFAULTS = {
  symbol: "", exchange: "", timeframe: "1h", n_bars: "5000", start: "", end: "", session: "regular", adjustment: "splits",
};

/** Return the parameters of a series that the query string `search` contains. */
export function readSeries(search) {
  const parameters = new URLSearchParams(search);
  const found = Object.keys(SERIES_DEFAULTS).filter((name) => parameters.has(name));
  return Object.fromEntries(found.map((name) => [name, parameters.get(name).trim()]));
}

/** Return the whole series of a link: the parameters `said` in its query, and the defaults; `nBars` is that of the service. */
export function linkedSeries(said, nBars) {
  return { ...SERIES_DEFAULTS, n_bars: nBars, ...said };
}

/** Return the parameters of the API that name the bars: a range has no number of bars. */
export function queryOf(series) {
  const isRange = series.start || series.end;
  return Object.fromEntries(Object.entries(series).filter(([name, value]) => value && !(isRange && name === "n_bars")));
}
