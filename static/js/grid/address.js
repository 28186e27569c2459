// The address of the grid's page: for each chart, the query of the chart page. The address is the whole layout.

const NAMES = ["a", "b", "c", "d"];
const NUMBERS = [1, 2, 4];

/** Return `{charts, isSameSymbol, isSameTimeframe}` of an address: one query for each chart, empty for an empty chart. */
export function readGrid(search) {
  const parameters = new URLSearchParams(search);
  const number = Number(parameters.get("charts"));
  const names = NAMES.slice(0, NUMBERS.includes(number) ? number : 2);
  return {
    charts: names.map((name) => parameters.get(name) ?? ""),
    isSameSymbol: parameters.get("same_symbol") === "1", isSameTimeframe: parameters.get("same_timeframe") === "1",
  };
}

/** Return the query of the grid's page. */
export function formatGrid({ charts, isSameSymbol, isSameTimeframe }) {
  const parameters = new URLSearchParams({ charts: charts.length });
  charts.forEach((chart, n) => chart && parameters.set(NAMES[n], chart));
  if (isSameSymbol) parameters.set("same_symbol", "1");
  if (isSameTimeframe) parameters.set("same_timeframe", "1");
  // A query may contain these characters; unescaped, the link is readable.
  return `?${parameters}`.replaceAll("%3A", ":").replaceAll("%2C", ",").replaceAll("%3D", "=");
}
