// Draws all drawings over the bars, as one primitive of the chart library.

import { color, fontFamily } from "../shared/colors.js";
import { isInside } from "./geometry.js";
import { Projection } from "./projection.js";
import { SHAPES } from "./shapes.js";

const HANDLE_PX = 5;
const LINE_WIDTH = 1.5;

/** The drawings of the price pane; `getShown` returns the bars drawn. */
export class DrawingLayer {
  /** Coordinates of the pane; null while no bars are drawn. */
  projection = null;
  #getShown;
  #requestUpdate = () => {};
  #drawings = [];
  #items = []; // one item for each drawing, kept from frame to frame
  #draft = null; // an item that is not kept
  #hasPoints = true;
  #selected = null;
  #handle = null;
  #isHidden = false;
  #placed = {}; // the bars for which the places of the items are computed
  #pen = { context: null, width: 0, height: 0, colors: {}, fontOf: (px) => `${px}px ${this.#font}` };
  #font = "";
  #views = [
    { zOrder: () => "normal", renderer: () => ({ draw: (target) => this.#draw(target, (pen) => this.#drawItems(pen)) }) },
    // The top canvas is not in a saved picture.
    { zOrder: () => "top", renderer: () => ({ draw: (target) => this.#draw(target, (pen) => this.#drawUnkept(pen)) }) },
  ];

  constructor(getShown) {
    this.#getShown = getShown;
  }

  attached({ chart, series, requestUpdate }) {
    [this.projection, this.#requestUpdate] = [new Projection({ chart, series }, this.#getShown), requestUpdate];
    this.#font = fontFamily();
    this.#pen.colors = Object.fromEntries(["panel", "up", "down"].map((name) => [name, color(`--${name}`)]).concat([["line", color("--link")]]));
    this.#placed = {};
  }

  detached() {
    [this.projection, this.#requestUpdate] = [null, () => {}];
  }

  paneViews() {
    return this.#views;
  }

  /** Draw these drawings, and a `draft` over them. The selected drawing and a draft with `hasPoints` show their anchor points. */
  show({ drawings, draft, hasPoints, selected, handle, isHidden }) {
    const kept = new Map(this.#items.map((item) => [item.drawing, item]));
    if (drawings !== this.#drawings) this.#items = drawings.map((drawing) => kept.get(drawing) ?? itemOf(drawing));
    [this.#drawings, this.#selected, this.#handle, this.#isHidden] = [drawings, selected, handle, isHidden];
    [this.#draft, this.#hasPoints] = [draft && itemOf(draft), hasPoints];
    this.#placed = {};
    this.#requestUpdate();
  }

  /** Return `{id, handle}` of the drawing within `reach` pixels, the selected one first; `handle` is null off the anchor points. */
  find(x, y, reach) {
    if (this.#isHidden || !this.#project()) return null;
    const selected = this.#items.find(({ drawing }) => drawing.id === this.#selected);
    const handle = selected ? handleAt(selected, x, y, reach + HANDLE_PX) : -1;
    if (handle >= 0) return { id: this.#selected, handle };
    const found = this.#items.findLast((item) => SHAPES[item.drawing.kind].distance(item, x, y) <= reach);
    if (found) return { id: found.drawing.id, handle: null };
    return selected && SHAPES[selected.drawing.kind].contains?.(selected, x, y) ? { id: this.#selected, handle: null } : null;
  }

  /** Tell the library which mouse pointer belongs to the pixel. */
  hitTest(x, y) {
    const found = this.find(x, y, HANDLE_PX);
    return found && { externalId: found.id, zOrder: "normal", cursorStyle: found.handle === null ? "pointer" : "grab" };
  }

  #draw(target, paint) {
    if (this.#isHidden || !this.#project()) return;
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      const pen = this.#pen;
      [pen.context, pen.width, pen.height] = [context, mediaSize.width, mediaSize.height];
      context.lineWidth = LINE_WIDTH;
      paint(pen);
    });
  }

  #drawItems(pen) {
    for (const item of this.#items) drawItem(item, pen);
  }

  #drawUnkept(pen) {
    if (this.#draft) drawItem(this.#draft, pen);
    const marked = this.#draft ? this.#hasPoints && this.#draft : this.#items.find(({ drawing }) => drawing.id === this.#selected);
    if (marked) this.#drawHandles(marked, pen);
  }

  #drawHandles({ x, y }, { context, colors }) {
    context.strokeStyle = colors.line;
    for (let n = 0; n < x.length; n++) {
      context.fillStyle = n === this.#handle ? colors.line : colors.panel;
      context.beginPath();
      context.arc(x[n], y[n], HANDLE_PX, 0, 2 * Math.PI);
      context.fill();
      context.stroke();
    }
  }

  /** Compute the pixels of all points; return false if nothing can be drawn. */
  #project() {
    if (!this.projection?.refresh()) return false;
    const { bars } = this.projection.shown;
    // A place changes when bars are added, and not while the chart moves.
    if (this.#placed.bars !== bars || this.#placed.length !== bars.length) {
      for (const item of this.#items) this.#place(item);
      if (this.#draft) this.#place(this.#draft);
      this.#placed = { bars, length: bars.length };
    }
    for (const item of this.#items) this.#measure(item);
    if (this.#draft) this.#measure(this.#draft);
    return true;
  }

  #place(item) {
    const { points, kind } = item.drawing;
    for (let n = 0; n < points.length; n++) item.places[n] = this.projection.placeOf(points[n].time);
    item.prepared = SHAPES[kind].prepare?.(item.drawing, this.projection.shown, item.places);
  }

  #measure({ drawing: { points }, places, x, y, prices, levels }) {
    const { projection } = this;
    for (let n = 0; n < points.length; n++) [x[n], y[n]] = [projection.x(places[n]), projection.y(points[n].price)];
    for (let n = 0; n < prices.length; n++) levels[n] = projection.y(prices[n]);
  }
}

function itemOf(drawing) {
  const prices = SHAPES[drawing.kind].prices?.(drawing) ?? [];
  const pixels = () => new Float64Array(drawing.points.length);
  return { drawing, places: pixels(), x: pixels(), y: pixels(), prices, levels: new Float64Array(prices.length), prepared: null, width: 0 };
}

function drawItem(item, pen) {
  pen.context.strokeStyle = pen.context.fillStyle = pen.colors.line;
  SHAPES[item.drawing.kind].draw(item, pen);
}

function handleAt({ x, y }, atX, atY, reach) {
  return x.findIndex((at, n) => isInside(atX, atY, at - reach, y[n] - reach, at + reach, y[n] + reach));
}
