// A second symbol over the first.

import { splitSymbol } from "./address.js";
import { isAbort, loadBars } from "./api.js";
import { barsOf } from "./bars.js";

const problem = document.getElementById("compare-problem");

/** Draws a second symbol on `chart`; a newer one always replaces an older one. */
export class Comparison {
  #chart;
  #url;
  #request = null;

  constructor(chart, url) {
    [this.#chart, this.#url] = [chart, url];
  }

  /** Draw the symbol over what is shown, which are the bars of `series`; none for an empty name. */
  async show(name, series) {
    this.stop();
    const { signal } = (this.#request = new AbortController());
    const { shown } = this.#chart;
    if (shown.other) this.#chart.compare(null);
    problem.hidden = true;
    if (!name) return;
    try {
      const other = await loadOther(name, { url: this.#url, series, bars: shown.bars, signal });
      if (!signal.aborted && this.#chart.shown === shown) this.#chart.compare(other);
    } catch (error) {
      if (isAbort(error)) return;
      problem.textContent = error.message;
      problem.hidden = false;
    }
  }

  /** Wait for no symbol any more. */
  stop() {
    this.#request?.abort();
  }
}

/** Load the other symbol's bars like those of `series`; resolves to its name and closes. */
async function loadOther(name, { url, series, bars, signal }) {
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
