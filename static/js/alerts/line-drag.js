// The line of an alert is dragged to another price, by mouse, pen and finger. A press on a line does not reach the
// chart library, so the bars stay in their place.

import { inSteps } from "../shared/numbers.js";

// How many pixels beside a line a press still takes it.
const [MOUSE_REACH, TOUCH_REACH] = [5, 14];
// A press that moves less than this changes nothing.
const CLICK_PX = 3;

/**
 * Lets the reader drag the `lines` (AlertLines) of `chart` (a BarChart) in `element`. `isFree()` says whether no other
 * part of the page takes presses on the chart; `onDrop` gets the id of an alert and its new price, and resolves when
 * the service has answered.
 */
export class LineDrag {
  #chart;
  #lines;
  #element;
  #isFree;
  #onDrop;
  #say;
  #press = null; // `{pointerId, id, start, offset, price}`; `price` is null until the line has moved, `id` once the drag is over

  constructor(chart, { lines, element, isFree, onDrop, say }) {
    [this.#chart, this.#lines, this.#element, this.#isFree, this.#onDrop, this.#say] = [chart, lines, element, isFree, onDrop, say];
  }

  /** Listen to the pointer and to Escape. */
  watch() {
    // Before the drawings, which begin a measure after a long press.
    addEventListener("pointerdown", (event) => this.#pressed(event), { capture: true });
    addEventListener("pointermove", (event) => (this.#press ? this.#moved(event) : this.#hovered(event)));
    addEventListener("pointerup", (event) => this.#isOurs(event) && this.#released());
    addEventListener("pointercancel", (event) => this.#isOurs(event) && [this.#stop(), (this.#press = null)]);
    // Before the keys of the page: there, Escape also stops a fetch.
    addEventListener("keydown", (event) => this.#keyPressed(event), { capture: true });
    this.#keepFromLibrary();
  }

  #isOurs({ pointerId }) {
    return this.#press?.pointerId === pointerId;
  }

  #pressed(event) {
    // A second finger belongs to the press of the first one.
    if (!event.isPrimary) return;
    this.#press = null;
    const found = event.button === 0 && this.#lineAt(event);
    if (!found) return;
    event.stopPropagation();
    const { y } = this.#pixelOf(event);
    // The line keeps its distance from a finger; under a mouse it is at the crosshair, which shows the price.
    const offset = event.pointerType === "touch" ? this.#lines.heightOf(found.price) - y : 0;
    this.#press = { pointerId: event.pointerId, id: found.id, start: y, offset, price: null };
    this.#element.focus({ preventScroll: true });
  }

  #moved(event) {
    const { id, start, offset, price } = this.#press;
    if (!this.#isOurs(event) || id === null) return;
    // The alert has triggered, or another symbol is drawn.
    if (!this.#lines.has(id)) return this.#stop();
    const { y } = this.#pixelOf(event);
    const found = this.#lines.priceAt(y + offset);
    if (found === null || (price === null && Math.abs(y - start) < CLICK_PX)) return;
    this.#press.price = inSteps(found, this.#chart.shown.step);
    this.#lines.hold({ id, price: this.#press.price });
  }

  #hovered(event) {
    const isOver = event.pointerType !== "touch" && !event.buttons && this.#lineAt(event) !== null;
    this.#element.classList.toggle("is-over-line", isOver);
  }

  async #released() {
    const { id, price } = this.#press;
    this.#press = null;
    if (price !== null && this.#lines.has(id)) await this.#onDrop(id, price);
    // The next drag may have begun while the service answered.
    if (!this.#press) this.#lines.hold(null);
  }

  #keyPressed(event) {
    if (event.key !== "Escape" || !this.#press) return;
    event.stopPropagation();
    event.preventDefault();
    this.#stop();
    this.#say("The alert keeps its price.");
  }

  /** End the drag without an effect; what follows of the press does not reach the library either. */
  #stop() {
    this.#lines.hold(null);
    this.#press = { ...this.#press, id: null, price: null };
  }

  /** Return the line of an alert under the pointer, or null. */
  #lineAt(event) {
    if (!this.#element.contains(event.target) || !this.#isFree()) return null;
    return this.#lines.nearest(this.#pixelOf(event), event.pointerType === "touch" ? TOUCH_REACH : MOUSE_REACH);
  }

  #pixelOf({ clientX, clientY }) {
    const { left, top } = this.#element.getBoundingClientRect();
    return { x: clientX - left, y: clientY - top };
  }

  /** During a press on a line, stop the events that move the bars or scroll the page. */
  #keepFromLibrary() {
    for (const name of ["mousedown", "touchstart", "touchmove"]) {
      this.#element.addEventListener(name, (event) => {
        if (!this.#press) return;
        event.stopPropagation();
        if (event.cancelable) event.preventDefault();
      }, { capture: true, passive: false });
    }
  }
}
