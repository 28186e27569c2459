// The comparison: a second symbol drawn over the first.

import { splitSymbol } from "./address.js";
import { isAbort, loadBars } from "./api.js";
import { barsOf, pricesOf } from "./bars.js";

const problem = document.getElementById("compare-problem");

/** Draws a second symbol on `chart`; a newer request replaces an older one. */
export class Comparison {
  #chart;
  #url;
  #onChange;
  #request = null;

  /** `onChange` is called whenever the other symbol's line or note has changed. */
  constructor(chart, { url, onChange }) {
    [this.#chart, this.#url, this.#onChange] = [chart, url, onChange];
  }

  /** Draw the symbol `name` over the bars of `series`, which are shown; an empty name removes the line. */
  async show(name, series) {
    this.stop();
    const { signal } = (this.#request = new AbortController());
    const { shown } = this.#chart;
    problem.hidden = true;
    const draw = (other) => {
      if (signal.aborted || this.#chart.shown !== shown) return;
      this.#chart.compare(other);
      this.#onChange();
    };
    draw(name ? { fullSymbol: name, note: "loading …" } : null);
    if (!name) return;
    try {
      draw(await loadOther(name, { url: this.#url, series, bars: shown.bars, signal }));
    } catch (error) {
      if (isAbort(error)) return;
      draw({ fullSymbol: name, note: error.message });
      problem.textContent = error.message;
      problem.hidden = false;
    }
  }

  /** Stop loading the other symbol. */
  stop() {
    this.#request?.abort();
  }
}

/** Load the other symbol's bars like those of `series`; resolves to its name, its closes and its price format. */
async function loadOther(name, { url, series, bars, signal }) {
  const [exchange, symbol] = splitSymbol(name);
  const reply = await loadBars(url, { ...series, symbol, exchange }, { signal });
  const fullSymbol = reply.exchange ? `${reply.exchange}:${reply.symbol}` : reply.symbol;
  const others = barsOf(reply);
  return { fullSymbol, values: asOf(bars.time, others), ...pricesOf(reply.instrument, others) };
}

/**
 * Return, for each time, the close of the other symbol's newest bar that opens no later; null before
 * its first bar. So both symbols share one time scale, also where their markets have different hours.
 */
export function asOf(times, { time, close, length }) {
  let at = -1;
  return Array.from(times, (wanted) => {
    while (at + 1 < length && time[at + 1] <= wanted) at++;
    return at < 0 ? null : close[at];
  });
}
