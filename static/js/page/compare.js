// The comparison: a second symbol drawn over the first.

import { findArchive, loadThrough } from "../bars/archive.js";
import { barsOf, joined, pricesOf } from "../bars/bars.js";
import { secondsOf } from "../bars/timeframes.js";
import { isAbort, loadBars } from "../shared/api.js";
import { splitSymbol } from "../symbols/names.js";

const DAY_S = 86400;
const problem = document.getElementById("compare-problem");

/** Draws a second symbol on `chart`; a newer request replaces an older one. */
export class Comparison {
  #chart;
  #url;
  #onChange;
  #request = null;
  #archivesUrl;
  #other = null; // the other symbol that is drawn, with its bars
  #archive = null; // the promise of the address of its archive; of null where none is held

  /** `onChange` is called whenever the other symbol's line or note has changed. */
  constructor(chart, { url, archivesUrl, onChange }) {
    [this.#chart, this.#url, this.#archivesUrl, this.#onChange] = [chart, url, archivesUrl, onChange];
  }

  /** Draw the symbol `name` over the bars of `series`, which are shown; an empty name removes the line. */
  async show(name, series) {
    this.stop();
    const { signal } = (this.#request = new AbortController());
    const { shown } = this.#chart;
    problem.hidden = true;
    const draw = (other) => {
      if (!signal.aborted && this.#chart.shown === shown) this.#draw(other);
    };
    draw(name ? { fullSymbol: name, note: "loading …" } : null);
    if (!name) return;
    try {
      const other = await loadOther(name, { url: this.#url, series, signal });
      // Older bars may have been added meanwhile.
      if (signal.aborted) return;
      [this.#other, this.#archive] = [other, null];
      draw({ ...other, values: asOf(shown.bars.time, other.bars) });
      await this.extend();
    } catch (error) {
      if (isAbort(error)) return;
      draw({ fullSymbol: name, note: error.message });
      problem.textContent = error.message;
      problem.hidden = false;
    }
  }

  /** Load the other symbol's bars for the older bars that were added to the chart. */
  async extend() {
    const { signal } = this.#request ?? {};
    const { shown } = this.#chart;
    const other = this.#other;
    if (!other || signal.aborted) return;
    const first = shown.bars.time[0];
    try {
      const older = other.bars.time[0] > first ? await this.#older(other, first, signal) : other.bars;
      // Another call may have loaded still older ones meanwhile.
      if (older.time[0] < other.bars.time[0]) other.bars = older;
    } catch (error) {
      // The newer part of the line stays.
      if (!isAbort(error) && !("code" in error)) throw error;
    }
    if (signal.aborted || this.#chart.shown !== shown) return;
    this.#draw({ ...other, values: asOf(shown.bars.time, other.bars) });
  }

  /** Stop loading the other symbol. */
  stop() {
    this.#request?.abort();
    this.#other = null;
  }

  #draw(other) {
    this.#chart.compare(other);
    this.#onChange();
  }

  /** Return the other symbol's bars with older ones of its archive, from before `first` on. */
  async #older({ reply, bars }, first, signal) {
    this.#archive ??= findArchive(this.#archivesUrl, reply, signal);
    const archive = await this.#archive;
    if (!archive) return bars;
    // The bar before the first one has the price at its time; a market may be closed for days.
    const start = new Date((first - 7 * DAY_S - secondsOf(reply.timeframe)) * 1000).toISOString();
    const found = await loadThrough(archive, bars.time[0], { start }, signal);
    const last = found.length - 1;
    const isSame = found.time[last] === bars.time[0] && found.close[last] === bars.close[0];
    return isSame ? joined(found, last, bars) : bars;
  }
}

/** Load the other symbol's bars like those of `series`; resolves to its name, its bars and its price format. */
async function loadOther(name, { url, series, signal }) {
  const [exchange, symbol] = splitSymbol(name);
  const reply = await loadBars(url, { ...series, symbol, exchange }, { signal });
  const fullSymbol = reply.exchange ? `${reply.exchange}:${reply.symbol}` : reply.symbol;
  const others = barsOf(reply);
  return { fullSymbol, bars: others, reply, ...pricesOf(reply.instrument, others) };
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
