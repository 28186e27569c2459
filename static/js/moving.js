// Moving over the bars: with the mouse, with keys and with the range buttons.

import { markRange } from "./controls.js";
import { barInWords, showBar } from "./legend.js";
import { rangeOf } from "./ranges.js";

/** Moves over the bars of `chart`; `onRange` gets what is in sight, `say` what a reader should hear. */
export class Mover {
  #chart;
  #onRange;
  #say;
  #pointed = null; // the bar under the crosshair

  constructor(chart, { onRange, say }) {
    [this.#chart, this.#onRange, this.#say] = [chart, onRange, say];
  }

  /** Listen to the mouse and the keys over `stage`, and to the buttons of `ranges`. */
  watch(stage, ranges) {
    for (const name of ["wheel", "pointerup", "touchend"]) stage.addEventListener(name, () => this.#chart.shown && this.#movedByHand(), { passive: true });
    stage.addEventListener("keydown", (event) => this.#keyPressed(event));
    ranges.addEventListener("click", ({ target }) => target.dataset.range && this.#showPreset(target.dataset.range));
  }

  /** Write the bar under the crosshair into the legend; the newest for null. */
  pointAt(index) {
    this.#pointed = index;
    this.refresh();
  }

  /** Write the same bar again, after something has changed about it. */
  refresh() {
    if (this.#chart.shown) showBar(this.#chart.shown, this.#pointed);
  }

  /** Zoom by `factor`. */
  zoom(factor) {
    if (!this.#chart.shown) return;
    this.#chart.zoom(factor);
    this.#movedByHand();
  }

  #keyPressed(event) {
    const action = {
      ArrowLeft: () => this.#step(-1),
      ArrowRight: () => this.#step(1),
      Home: () => this.#showPreset("all"),
      End: () => [this.#chart.showNewest(), this.#movedByHand()],
    }[event.key];
    if (!action) return;
    event.preventDefault();
    if (this.#chart.shown) action();
  }

  #step(step) {
    const last = this.#chart.shown.bars.length - 1;
    const index = Math.min(last, Math.max(0, (this.#pointed ?? last + (step < 0 ? 1 : 0)) + step));
    this.#chart.pointAt(index);
    this.pointAt(index);
    this.#say(barInWords(this.#chart.shown, index));
  }

  #showPreset(name) {
    const range = rangeOf(name, this.#chart.shown.bars);
    if (range) this.#chart.showRange(range);
    else this.#chart.showAll();
    markRange(name);
    this.#keepRange();
  }

  #movedByHand() {
    markRange(null);
    this.#keepRange();
  }

  #keepRange() {
    // After the chart has moved: it does so with the next frame.
    requestAnimationFrame(() => requestAnimationFrame(() => {
      const range = this.#chart.shown && this.#chart.visibleRange();
      if (range) this.#onRange(range);
    }));
  }
}
