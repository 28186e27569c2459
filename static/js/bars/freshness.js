// How many closed bars the drawn ones lack: the badge "6 bars behind · Update" in the legend.

import { isAbort, loadKept } from "../shared/api.js";
import { wholeNumber } from "../shared/numbers.js";
import { findArchive } from "./archive.js";

const LOOK_MS = 30_000;
const button = document.getElementById("behind");

/** Shows whether newer bars than the drawn ones exist; `onUpdate` gets whether a fetch is needed for them. */
export class Freshness {
  #url;
  #shown = null;
  #lag = 0;
  #timer = null;
  #request = new AbortController();

  constructor({ url, onUpdate }) {
    this.#url = url;
    button.addEventListener("click", () => onUpdate({ needsFetch: this.#lag > 0 }));
    document.addEventListener("visibilitychange", () => this.#look());
  }

  /** Watch the bars that are drawn now; null watches nothing. A range with an end has no newer bars. */
  follow(shown) {
    this.#request.abort();
    this.#request = new AbortController();
    clearInterval(this.#timer);
    this.#shown = shown?.range?.end ? null : shown;
    this.#show(this.#shown?.lagBars ?? 0, false);
    if (this.#shown) this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  /** Load the present lag once newer bars can exist; a hidden page loads nothing. */
  async #look() {
    const shown = this.#shown;
    if (!shown || document.hidden || !(Date.parse(shown.completeUntil) < Date.now())) return;
    const { signal } = this.#request;
    try {
      const archive = await findArchive(this.#url, shown, signal);
      if (!archive) return;
      const { freshness, last_time: newest } = await loadKept(archive, signal);
      if (this.#shown === shown) this.#show(freshness?.lag_bars ?? 0, Date.parse(newest) / 1000 > shown.bars.time.at(-1));
    } catch (error) {
      // The next look may succeed.
      if (!isAbort(error) && !("code" in error)) throw error;
    }
  }

  /** `isHeld` says that the archive has newer bars than the drawn ones already. */
  #show(lag, isHeld) {
    this.#lag = lag;
    button.hidden = lag === 0 && !isHeld;
    const text = lag ? `${wholeNumber(lag)} ${lag === 1 ? "bar" : "bars"} behind` : "Newer bars are held";
    button.textContent = `${text} · Update`;
  }
}
