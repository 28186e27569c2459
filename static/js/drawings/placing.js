// A drawing that is being placed, point after point.

import { SHAPES } from "./shapes.js";

/** A drawing of `kind`; its points that are not placed yet follow the pointer or the arrow keys. */
export class Placing {
  nPlaced = 0;

  constructor(kind, point) {
    this.drawing = { id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random()}`, kind, points: Array(SHAPES[kind].nPoints).fill(point) };
  }

  /** The point that moves. */
  get point() {
    return this.drawing.points.at(-1);
  }

  get isComplete() {
    return this.nPlaced === this.drawing.points.length;
  }

  /** Return whether all points are at one place, so that nothing would be seen. */
  get isEmpty() {
    const { points } = this.drawing;
    return points.length > 1 && points.every(({ time, price }) => time === points[0].time && price === points[0].price);
  }

  moveTo(point) {
    this.drawing = { ...this.drawing, points: this.drawing.points.map((placed, n) => (n < this.nPlaced ? placed : point)) };
  }
}
