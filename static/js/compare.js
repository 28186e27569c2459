// A second symbol over the first.

import { splitSymbol } from "./address.js";
import { loadBars } from "./api.js";
import { barsOf } from "./bars.js";

/** Load the other symbol's bars like those of `series`; resolves to its name and closes. */
export async function loadOther(name, { url, series, bars, signal }) {
  const [exchange, symbol] = splitSymbol(name);
  const reply = await loadBars(url, { ...series, symbol, exchange }, { signal });
  const fullSymbol = reply.exchange ? `${reply.exchange}:${reply.symbol}` : reply.symbol;
  return { fullSymbol, values: asOf(bars.time, barsOf(reply)) };
}

/**
 * Return, for each time, the close of the other's newest bar that opens no later; null before its
 * first. So both share one time scale, also where their markets keep different hours.
 */
export function asOf(times, { time, close, length }) {
  let at = -1;
  return Array.from(times, (wanted) => {
    while (at + 1 < length && time[at + 1] <= wanted) at++;
    return at < 0 ? null : close[at];
  });
}
