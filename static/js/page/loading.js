// Loads one set of bars at a time: a newer request replaces an older one.

import { cancelFetch, loadBars } from "../shared/api.js";
import { showBusy, showProgress } from "./overlay.js";

const stage = document.getElementById("stage");

/** Loads bars and shows the progress over the chart; `onStep` gets each state of the fetch. */
export class Loader {
  #url;
  #csrfToken;
  #say;
  #onStep;
  #request = null; // the AbortController of the running load
  #queued = null; // the address of the fetch while the fetch is queued
  #saidState = null; // the announced state of the fetch

  constructor({ url, csrfToken, say, onStep }) {
    [this.#url, this.#csrfToken, this.#say, this.#onStep] = [url, csrfToken, say, onStep];
  }

  /** Whether bars are being loaded. */
  get isBusy() {
    return this.#request !== null;
  }

  /**
   * Load the bars of `series`; the page calls them `name`; `options` as for `loadBars`. Resolves to
   * the API's reply with `tookMs`; rejects with an AbortError when a newer load begins.
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
      // A newer request may have begun after the body was read.
      signal.throwIfAborted();
      return { ...reply, tookMs: performance.now() - started };
    } finally {
      if (this.#request === controller) this.#end();
    }
  }

  /** Stop waiting for the bars; their fetch continues. */
  drop() {
    this.#request?.abort();
    this.#end();
  }

  /** Stop waiting, and cancel the fetch if it is still queued; returns whether it was. */
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
    // Once for each state: a screen reader must not read out every new count.
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
