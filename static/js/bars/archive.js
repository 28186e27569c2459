// The archive of the drawn bars: older bars while the user moves to the left, and marks of revisions.

import { isAbort, loadKept } from "../shared/api.js";
import { barsOf } from "./bars.js";

const KEY = ["source", "exchange", "symbol", "timeframe", "session", "adjustment"];
const AT_ONCE = 2000;
const MOST_MARKS = 100;
// Older bars are loaded when fewer bars than these are left of the visible ones.
const NEAR = 100;

/** Adds older bars and marks to `chart`; `onAdded` is called after each change, `say` gets text for a screen reader. */
export class Archive {
  #chart;
  #url;
  #onAdded;
  #say;
  #address = null; // the address of the series' archive while it can have older bars
  #isByHand = false; // whether the user has moved over the bars
  #request = new AbortController();
  #isBusy = false;

  constructor(chart, { url, onAdded, say }) {
    [this.#chart, this.#url, this.#onAdded, this.#say] = [chart, url, onAdded, say];
  }

  /** Listen to the moves over `stage`. */
  watch(stage) {
    for (const name of ["wheel", "pointerdown", "touchstart", "keydown"]) stage.addEventListener(name, () => (this.#isByHand = true), { passive: true, capture: true });
    this.#chart.watchRange(() => this.#look());
  }

  /** Start over for the bars that are drawn now. */
  async follow() {
    this.stop();
    const { shown } = this.#chart;
    const { signal } = this.#request;
    try {
      const archive = await findArchive(this.#url, shown, signal);
      if (!archive) return;
      const revisions = await loadKept(`${archive}/revisions?page_size=${MOST_MARKS}`, signal);
      shown.revisions = revisions.results;
      this.#chart.refreshMarks();
      this.#address = archive;
      this.#look();
    } catch (error) {
      this.#failed(error);
    }
  }

  /** Load nothing more for the bars that were drawn. */
  stop() {
    this.#request.abort();
    this.#request = new AbortController();
    [this.#address, this.#isByHand, this.#isBusy] = [null, false, false];
  }

  #look() {
    if (this.#address && this.#isByHand && !this.#isBusy && this.#chart.nBarsLeft() < NEAR) this.#addOlder();
  }

  async #addOlder() {
    const { signal } = this.#request;
    const first = this.#chart.shown.bars.time[0];
    this.#isBusy = true;
    try {
      this.#add(await loadThrough(this.#address, first, { n_bars: AT_ONCE + 1 }, signal));
    } catch (error) {
      this.#failed(error);
    }
    if (signal.aborted) return;
    this.#isBusy = false;
    this.#look();
  }

  #add(found) {
    const { bars } = this.#chart.shown;
    const last = found.length - 1;
    if (found.time[last] !== bars.time[0] || found.close[last] !== bars.close[0]) {
      this.#address = null;
      return this.#say("The archive has changed since these bars were drawn. Load them again to see older bars.");
    }
    if (last === 0) return (this.#address = null);
    this.#chart.prepend(found, last);
    this.#onAdded();
    this.#say(`${last} older bars.`);
  }

  #failed(error) {
    if (isAbort(error)) return;
    this.#address = null;
    this.#say(error.message);
    if (!("code" in error)) throw error;
  }
}

/** Load the bars of an archive through the one that opened at `time`, whose price shows that the older bars have the same basis. */
export async function loadThrough(archive, time, query, signal) {
  const parameters = new URLSearchParams({ ...query, end: new Date(time * 1000 + 1000).toISOString(), format: "columns" });
  return barsOf(await loadKept(`${archive}/bars?${parameters}`, signal));
}

/** Return the address of the archive of `shown`, a reply or the bars that are drawn; null where none is held. */
export async function findArchive(url, shown, signal) {
  const { results } = await loadKept(`${url}?${keyOf(shown)}`, signal);
  return results.length ? `${url}/${results[0].id}` : null;
}

function keyOf(shown) {
  return new URLSearchParams(KEY.map((name) => [name, shown[name]]).filter(([, value]) => value));
}
