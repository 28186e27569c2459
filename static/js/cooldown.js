// The pause after TradingView has refused a call: nothing is fetched before it is over.

import { loadStatus } from "./api.js";
import { inTime } from "./numbers.js";

const TICK_MS = 1000;
// How often to look whether an operator has ended it, or another refusal has made it longer.
const LOOK_MS = 15_000;
// Not more often, however many fetches tell of it.
const APART_MS = 3000;
const strip = document.getElementById("cool-down");
const left = document.getElementById("cool-down-left");
const why = document.getElementById("cool-down-reason");

/** Shows on the page that a cool-down lasts, and for how long; `say` is told when one begins or ends. */
export class CoolDown {
  #url;
  #say;
  #until = 0;
  #lookedAt = -Infinity;
  #timer = null;

  constructor({ url, say }) {
    [this.#url, this.#say] = [url, say];
  }

  /** Ask the service whether a cool-down lasts, and show what it says. */
  async look() {
    const now = performance.now();
    if (now - this.#lookedAt < APART_MS) return;
    this.#lookedAt = now;
    try {
      const { cool_down_s: seconds, cool_down_reason: reason } = await loadStatus(this.#url);
      // Null while the service does not know it.
      this.#until = performance.now() + (seconds ?? 0) * 1000;
      why.textContent = reason ?? "";
      this.#show();
    } catch {
      // Who may not ask, or gets no answer, is told by the next fetch.
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
