// Moves over the bars: with the mouse, with keys and with the range buttons.

import { barInWords, showBar } from "../chart/legend.js";
import { markRange } from "./controls.js";
import { rangeOf } from "./ranges.js";

// The chart moves on after a swipe; the range is kept once it rests for this time.
const REST_MS = 150;

/** Moves over the bars of `chart`; `onRange` gets the visible range, `onPoint` the bar that the reader points at, `say` text for a screen reader. */
export class Mover {
  #chart;
  #onRange;
  #onPoint;
  #say;
  #pointed = null; // the bar under the crosshair
  #isByHand = false; // whether the user has changed the visible range
  #timer = null;

  constructor(chart, { onRange, onPoint, say }) {
    [this.#chart, this.#onRange, this.#onPoint, this.#say] = [chart, onRange, onPoint, say];
  }

  /** Listen to the mouse and the keys over `stage`, and to the buttons of `ranges`. */
  watch(stage, ranges) {
    // In the capture phase: the chart moves while it handles these events.
    for (const name of ["wheel", "pointerdown", "touchstart"]) stage.addEventListener(name, () => (this.#isByHand = true), { passive: true, capture: true });
    this.#chart.watchRange(() => this.#isByHand && this.#moved());
    stage.addEventListener("keydown", (event) => this.#keyPressed(event));
    ranges.addEventListener("click", ({ target }) => target.dataset.range && this.#showPreset(target.dataset.range));
  }

  /** Start over for other bars: the user has not moved over them yet. */
  reset() {
    this.#isByHand = false;
    clearTimeout(this.#timer);
    markRange(null);
  }

  /** The reader has moved the crosshair to a bar; null means to no bar. */
  readerPointsAt(index) {
    this.pointAt(index);
    this.#onPoint(index);
  }

  /** Write the bar under the crosshair into the legend; null means the newest bar. */
  pointAt(index) {
    this.#pointed = index;
    this.refresh();
  }

  /** The index of the bar under the crosshair, or null. */
  get pointed() {
    return this.#pointed;
  }

  /** Write the same bar again after a change. */
  refresh() {
    if (this.#chart.shown) showBar(this.#chart, this.#pointed);
  }

  /** Zoom by `factor`. */
  zoom(factor) {
    if (!this.#chart.shown) return;
    this.#isByHand = true;
    this.#chart.zoom(factor);
  }

  #keyPressed(event) {
    const action = {
      ArrowLeft: () => this.#step(-1),
      ArrowRight: () => this.#step(1),
      Home: () => this.#showPreset("all"),
      End: () => this.#showNewest(),
    }[event.key];
    if (!action) return;
    event.preventDefault();
    if (this.#chart.shown) action();
  }

  #step(step) {
    this.#isByHand = true;
    const last = this.#chart.shown.bars.length - 1;
    const index = Math.min(last, Math.max(0, (this.#pointed ?? last + (step < 0 ? 1 : 0)) + step));
    this.#chart.pointAt(index);
    this.readerPointsAt(index);
    this.#say(barInWords(this.#chart.shown, index));
  }

  #showPreset(name) {
    this.reset();
    const range = rangeOf(name, this.#chart.shown.bars);
    if (range) this.#chart.showRange(range);
    else this.#chart.showAll();
    markRange(name);
    this.#keepLater();
  }

  #showNewest() {
    this.reset();
    this.#chart.showNewest();
    this.#onRange(null);
  }

  #moved() {
    markRange(null);
    this.#keepLater();
  }

  #keepLater() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      const range = this.#chart.shown && this.#chart.visibleRange();
      if (range) this.#onRange(range);
    }, REST_MS);
  }
}
