// Loads one set of bars at a time: a newer request always replaces an older one.

import { cancelFetch, loadBars } from "./api.js";
import { showBusy, showProgress } from "./overlay.js";

const stage = document.getElementById("stage");

/** Loads bars and shows over the chart how it gets on; `onStep` gets each row of a fetch that is waited for. */
export class Loader {
  #url;
  #csrfToken;
  #say;
  #onStep;
  #request = null; // the AbortController of the load on its way
  #queued = null; // the address of the fetch that it waits for, while that is queued
  #saidState = null; // the state of that fetch that was announced last

  constructor({ url, csrfToken, say, onStep }) {
    [this.#url, this.#csrfToken, this.#say, this.#onStep] = [url, csrfToken, say, onStep];
  }

  /** Whether bars are on their way. */
  get isBusy() {
    return this.#request !== null;
  }

  /**
   * Load the bars of `series`, which is shown as `name`; `options` as for `loadBars`. Resolves to
   * the API's reply with `tookMs`, and is rejected with an AbortError when a newer load begins.
   */
  async load(series, { name, ...options }) {
    this.#request?.abort();
    const controller = (this.#request = new AbortController());
    const { signal } = controller;
    this.#begin(name);
    const started = performance.now();
    try {
      const onFetch = (fetched, address) => this.#follow(fetched, address);
      const reply = await loadBars(this.#url, series, { ...options, signal, onFetch });
      // The body may have been read before the newer request came.
      signal.throwIfAborted();
      return { ...reply, tookMs: performance.now() - started };
    } finally {
      if (this.#request === controller) this.#end();
    }
  }

  /** Wait no longer for what is on its way; a fetch goes on. */
  drop() {
    this.#request?.abort();
    this.#end();
  }

  /** Wait no longer, and cancel a fetch that is still queued; returns whether there was one. */
  stop() {
    this.drop();
    if (this.#queued) cancelFetch(this.#queued, this.#csrfToken);
    return this.#queued !== null;
  }

  #begin(name) {
    this.#queued = this.#saidState = null;
    stage.setAttribute("aria-busy", "true");
    showBusy(name);
    this.#say(`Loading ${name}.`);
  }

  #follow(fetched, address) {
    this.#queued = fetched.state === "queued" ? address : null;
    const sentence = showProgress(fetched);
    // Once for each state: counts that are read out all the time help nobody.
    const state = [fetched.state, fetched.notice].join();
    if (state !== this.#saidState) this.#say([sentence, fetched.notice].filter(Boolean).join(" "));
    this.#saidState = state;
    this.#onStep(fetched);
  }

  #end() {
    this.#request = null;
    stage.removeAttribute("aria-busy");
  }
}
