// The cool-down: the pause of all fetches after TradingView has refused a call.

import { loadStatus } from "../shared/api.js";
import { inTime } from "../shared/numbers.js";

const TICK_MS = 1000;
// Period of reading the cool-down again: an operator may end it, and another refusal may extend it.
const LOOK_MS = 15_000;
// Least time between two readings, also when many fetches report the cool-down.
const APART_MS = 3000;
const strip = document.getElementById("cool-down");
const left = document.getElementById("cool-down-left");
const why = document.getElementById("cool-down-reason");

/** Shows the rest of a cool-down on the page; `say` gets a sentence when one begins or ends. */
export class CoolDown {
  #url;
  #say;
  #until = 0;
  #lookedAt = -Infinity;
  #timer = null;

  constructor({ url, say }) {
    [this.#url, this.#say] = [url, say];
  }

  /** Read the cool-down from the service, and show it. */
  async look() {
    const now = performance.now();
    if (now - this.#lookedAt < APART_MS) return;
    this.#lookedAt = now;
    try {
      const { cool_down_s: seconds, cool_down_reason: reason } = await loadStatus(this.#url);
      // Null while the service cannot read the cool-down.
      this.#until = performance.now() + (seconds ?? 0) * 1000;
      why.textContent = reason ?? "";
      this.#show();
    } catch {
      // Without permission or without an answer nothing is shown; the next fetch names the cool-down.
    }
  }

  #show() {
    clearTimeout(this.#timer);
    const seconds = Math.ceil((this.#until - performance.now()) / 1000);
    const isOn = seconds > 0;
    if (strip.hidden === isOn) this.#say(isOn ? `${why.textContent} All fetches pause for ${inTime(seconds)} more.` : "New bars can be fetched again.");
    strip.hidden = !isOn;
    if (!isOn) return;
    left.textContent = inTime(seconds);
    this.#timer = setTimeout(() => this.#show(), TICK_MS);
    if (performance.now() - this.#lookedAt > LOOK_MS && !document.hidden) this.look();
  }
}
