// The drawings of the symbol shown: the chosen tool, the selected drawing, and every change.

import { Edits } from "./edits.js";
import { DrawingLayer } from "./layer.js";
import { askText } from "./note.js";
import { Placing } from "./placing.js";
import { SHAPES } from "./shapes.js";
import { inWords, measureLines } from "./words.js";

// A press that moves less than this is a click.
const CLICK_PX = 4;
const [MOUSE_REACH, TOUCH_REACH] = [6, 14];

/** The drawings over `chart` (a BarChart) in `element`. Pixels `{x, y}` count from the top left corner of the price pane. */
export class Drawings {
  tool = null; // the kind that is being drawn
  selected = null; // the id of a drawing
  isHidden = false;
  /** The drawings of the symbol shown, with undo and redo. */
  edits = new Edits(() => this.#show());
  onChange = () => {};
  #chart;
  #element;
  #say;
  #layer;
  #handle = null; // the anchor point that the arrow keys move; null: the whole drawing
  #placing = null;
  #measured = null; // the last measure; it is not kept
  #press = null; // where the pointer went down, and `drawing` and `handle` if the press moves a drawing
  #moved = null; // that drawing, where it is now

  constructor(chart, { element, say }) {
    [this.#chart, this.#element, this.#say] = [chart, element, say];
    this.#layer = new DrawingLayer(() => chart.shown);
    chart.addLayer(this.#layer);
  }

  /** Show the drawings of the symbol that the chart shows. */
  follow() {
    if (this.edits.open(this.#chart.shown?.fullSymbol ?? "")) this.#begin(null);
    this.#show();
  }

  /** The selected drawing; undefined if none is selected. */
  get current() {
    return this.edits.list.find(({ id }) => id === this.selected);
  }

  /** Begin to draw; the same tool again ends it. */
  use(kind) {
    if (!this.#chart.shown) return;
    this.#begin(this.tool === kind ? null : kind);
    this.isHidden = false;
    this.#show();
    this.#say(this.tool ? `${SHAPES[kind].name}: press on the chart, or move with the arrow keys and place each point with Enter. Escape ends.` : "No tool.");
  }

  /** Begin a measure at `point`, `{clientX, clientY}` in the window, whose end the pointer moves; return false outside of the price pane. */
  startMeasure(point) {
    const pixel = this.pixelOf(point);
    if (!pixel) return false;
    this.#begin("measure");
    this.#say("Measure: move the finger to the second point.");
    return this.press(pixel);
  }

  /** Return a point of the window as pixels of the price pane; null outside of the pane unless `isAnywhere`, and null while nothing is drawn. */
  pixelOf({ clientX, clientY }, { isAnywhere = false } = {}) {
    if (!this.#layer.projection?.refresh()) return null;
    const { left, top } = this.#element.getBoundingClientRect();
    const { width, height } = this.#layer.projection.size();
    const [x, y] = [clientX - left, clientY - top];
    return isAnywhere || (x >= 0 && x < width && y >= 0 && y < height) ? { x, y } : null;
  }

  /** Whether a pointer is down that moves a drawing or places a point. */
  get isPressed() {
    return this.#press !== null;
  }

  /** Whether something follows the pointer. */
  get isFollowing() {
    return this.isPressed || this.#placing?.nPlaced > 0;
  }

  /** Select the next drawing, the newest first. */
  selectNext() {
    const { list } = this.edits;
    if (!list.length || this.isHidden) return this.#say("No drawing is shown.");
    const at = list.findIndex(({ id }) => id === this.selected);
    this.#select(list.at(at <= 0 ? -1 : at - 1).id);
    this.#say(`${this.#wordsOf(this.current)}. Arrow keys move it, Enter chooses a point, Delete removes it.`);
  }

  /** Select nothing. */
  leave() {
    if (this.selected !== null) this.#select(null);
  }

  #select(id) {
    this.#begin(null);
    this.selected = id;
    this.#show();
  }

  /** Hide or show all drawings. */
  toggleHidden() {
    this.#begin(null);
    this.isHidden = !this.isHidden;
    this.#show();
    this.#say(this.isHidden ? "Drawings are hidden." : "Drawings are shown.");
  }

  /** Remove the selected drawing. */
  remove() {
    const { current } = this;
    if (!current) return;
    this.#begin(null);
    this.edits.change(this.edits.list.filter((drawing) => drawing !== current));
    this.#say(`${SHAPES[current.kind].name} removed.`);
  }

  /** Remove all drawings of the symbol. */
  removeAll() {
    const { length } = this.edits.list;
    if (!length) return;
    this.#begin(null);
    this.edits.change([]);
    this.#say(`${length} ${length === 1 ? "drawing" : "drawings"} removed. Undo brings them back.`);
  }

  undo() {
    this.#say(this.edits.undo() ? "Undone." : "There is nothing to undo.");
  }

  redo() {
    this.#say(this.edits.redo() ? "Done again." : "There is nothing to do again.");
  }

  /** Change the text of the selected drawing. */
  async editText() {
    const { current } = this;
    const text = await askText(current.text);
    if (text && this.current === current) this.#replace({ ...current, text });
  }

  /** End what is being done, the innermost first; return false if there is nothing to end. */
  escape() {
    const isBusy = this.tool || this.#measured || this.selected !== null;
    if (this.#press?.drawing) this.cancel();
    else if (isBusy) this.#select(null);
    return Boolean(isBusy);
  }

  // --- pointer -----------------------------------------------------------------------------

  /** A press at a pixel; return whether it belongs to the drawings. */
  press(pixel, { isTouch = false } = {}) {
    if (this.tool) return this.#pressTool(pixel);
    if (this.#measured) this.#select(this.selected);
    const found = this.#layer.find(pixel.x, pixel.y, isTouch ? TOUCH_REACH : MOUSE_REACH);
    if (!found) return false;
    if (found.id !== this.selected) this.#select(found.id);
    this.#press = { ...pixel, drawing: this.current, handle: found.handle };
    return true;
  }

  #pressTool(pixel) {
    const point = this.#layer.projection.pointAt(pixel.x, pixel.y);
    this.#press = { ...pixel, isSecond: this.#placing?.nPlaced > 0 };
    this.#placing ??= new Placing(this.tool, point);
    this.#placing.moveTo(point);
    if (!this.#press.isSecond) this.#placing.nPlaced++;
    this.#show();
    return true;
  }

  /** The pointer moves, pressed or not. */
  move(pixel) {
    if (this.#placing?.nPlaced) {
      this.#placing.moveTo(this.#layer.projection.pointAt(pixel.x, pixel.y));
      this.#show();
    } else if (this.#press?.drawing) {
      this.#moved = this.#dragged(pixel);
      this.#show();
    }
  }

  /** The press ends. */
  release(pixel) {
    const [press, moved] = [this.#press, this.#moved];
    [this.#press, this.#moved] = [null, null];
    const isClick = press && Math.hypot(pixel.x - press.x, pixel.y - press.y) < CLICK_PX;
    if (moved && !isClick) this.#replace(moved);
    else if (moved) this.#show();
    else if (press && this.#placing && (this.#placing.isComplete || press.isSecond || !isClick)) this.#finish();
  }

  /** The press is over without an effect. */
  cancel() {
    [this.#press, this.#moved] = [null, null];
    this.#show();
  }

  #dragged(pixel) {
    const { x, y, drawing, handle } = this.#press;
    return this.#shifted(drawing, handle, Math.round((pixel.x - x) / this.#layer.projection.spacing), pixel.y - y);
  }

  // --- keys --------------------------------------------------------------------------------

  /** Move by bars and pixels the point that is being placed, the chosen point, or the selected drawing; return false if there is none. */
  step(nBars, pixels) {
    const { current } = this;
    if (this.tool) {
      this.#startPlacing();
      this.#placing.moveTo(this.#layer.projection.moved(this.#placing.point, nBars, pixels));
      this.#show();
    } else if (current) this.#replace(this.#shifted(current, this.#handle, nBars, pixels), `${this.selected} ${this.#handle}`);
    else return false;
    this.#say(this.#wordsOf(this.#placing?.drawing ?? this.current));
    return true;
  }

  /** Place a point, choose the next point, or edit a text; return false if nothing is selected. */
  enter() {
    if (this.tool) this.#placeByKey();
    else if (this.current?.kind === "text") this.editText();
    else if (this.current) this.#chooseHandle();
    else return false;
    return true;
  }

  #startPlacing() {
    const { projection } = this.#layer;
    projection.refresh();
    const { width, height } = projection.size();
    this.#placing ??= new Placing(this.tool, projection.pointAt(width / 2, height / 2));
  }

  #placeByKey() {
    this.#startPlacing();
    this.#placing.nPlaced++;
    if (this.#placing.isComplete) return this.#finish();
    this.#show();
    this.#say("The first point is placed. Move the second one, and place it with Enter.");
  }

  #chooseHandle() {
    const { length } = this.current.points;
    this.#handle = length === 1 || this.#handle === length - 1 ? null : (this.#handle ?? -1) + 1;
    this.#show();
    this.#say(this.#handle === null ? "The arrow keys move the whole drawing." : `The arrow keys move point ${this.#handle + 1} of ${length}.`);
  }

  // --- changes -----------------------------------------------------------------------------

  /** End what is being done, and take a tool. */
  #begin(tool) {
    [this.tool, this.selected, this.#handle, this.#placing, this.#measured, this.#press, this.#moved] = [tool, null, null, null, null, null, null];
  }

  async #finish() {
    const { drawing, isEmpty } = this.#placing;
    if (isEmpty) {
      this.#placing.nPlaced = 1;
      return this.#say("Both points are at the same place. Move the second one.");
    }
    this.#begin(null);
    if (drawing.kind === "measure") return this.#showMeasure(drawing);
    this.#show();
    const text = drawing.kind === "text" ? await askText("") : null;
    if (text === "") return;
    this.edits.change([...this.edits.list, text ? { ...drawing, text } : drawing]);
    this.#select(drawing.id);
    this.#say(`${this.#wordsOf(this.current)}.`);
  }

  #showMeasure(drawing) {
    const { projection } = this.#layer;
    const [from, to] = drawing.points.map(({ time }) => Math.round(projection.placeOf(time)));
    this.#measured = drawing;
    this.#show();
    this.#say(measureLines(drawing.points, to - from, projection.shown).join(", "));
  }

  /** Return the drawing with one point, or all of them, moved by bars and pixels. */
  #shifted(drawing, handle, nBars, pixels) {
    this.#layer.projection.refresh();
    const points = drawing.points.map((point, n) => (handle === null || handle === n ? this.#layer.projection.moved(point, nBars, pixels) : point));
    return { ...drawing, points };
  }

  #replace(drawing, step = null) {
    this.edits.change(replaced(this.edits.list, drawing), step);
  }

  #wordsOf(drawing) {
    return inWords(drawing, SHAPES[drawing.kind].name, this.#chart.shown);
  }

  #show() {
    const { list } = this.edits;
    if (!this.current) this.selected = this.#handle = null;
    this.#layer.show({
      drawings: this.#moved ? replaced(list, this.#moved) : list,
      draft: this.#placing?.drawing ?? this.#measured, hasPoints: !this.#measured,
      selected: this.selected, handle: this.#handle, isHidden: this.isHidden,
    });
    this.onChange();
  }
}

/** Return the list with the drawing of the same id replaced. */
function replaced(list, drawing) {
  return list.map((other) => (other.id === drawing.id ? drawing : other));
}
