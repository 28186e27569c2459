// From times and prices to the pixels of the price pane, and back.

import { placeOf, timeAt } from "./places.js";

const FAR = 1000;

/** The coordinates of the series that the drawings lie on; `getShown` returns the bars drawn. */
export class Projection {
  #chart;
  #series;
  #getShown;
  #origin = 0; // the x of the bar 0
  spacing = 1; // pixels between two bars

  constructor({ chart, series }, getShown) {
    [this.#chart, this.#series, this.#getShown] = [chart, series, getShown];
  }

  get shown() {
    return this.#getShown();
  }

  /** Read the visible range; return false if there is none. */
  refresh() {
    const scale = this.#chart.timeScale();
    const first = scale.logicalToCoordinate(0);
    if (first === null || !this.shown) return false;
    // The library gives coordinates of whole indexes only.
    [this.#origin, this.spacing] = [first, (scale.logicalToCoordinate(FAR) - first) / FAR];
    return true;
  }

  /** Return width and height of the pane in pixels. */
  size() {
    return this.#chart.paneSize(0);
  }

  x(place) {
    return this.#origin + place * this.spacing;
  }

  /** Return the y of a price; NaN where the scale has none, such as the logarithm of a negative price. */
  y(price) {
    return this.#series.priceToCoordinate(price) ?? NaN;
  }

  /** Return the place of a UTC instant on the time axis. */
  placeOf(time) {
    return placeOf(time, this.shown.bars, this.shown.timeframe);
  }

  /** Return `{time, price}` at a pixel: the time of the nearest bar, the price in whole steps. */
  pointAt(x, y) {
    return this.#point(Math.round((x - this.#origin) / this.spacing), y);
  }

  /** Return the point moved by a number of bars and by pixels; its distance from a bar stays. */
  moved({ time, price }, nBars, pixels) {
    const place = this.placeOf(time);
    const moved = this.#point(place + nBars, this.y(price) + pixels);
    return { time: nBars ? moved.time : time, price: pixels ? moved.price : price };
  }

  #point(place, y) {
    const { bars, timeframe, step } = this.shown;
    const price = this.#series.coordinateToPrice(y);
    // Binary fractions are not exact: 3 steps of 0.1 give 0.30000000000000004.
    return { time: timeAt(place, bars, timeframe), price: Number((Math.round(price / step) * step).toPrecision(12)) };
  }
}
