// Columns from 0 to a value of each bar: volumes, and the histograms of studies. They are no series of the
// library, which builds all columns again when one changes.

import { Extents } from "./extents.js";

const NARROW = 4; // columns of fewer pixels all have the same width

/** Draws a column for each of `values` that is not null, at the scale of the series that it is attached to; `colorOf` returns the colour of the one at an index. */
export class Columns {
  #chart = null;
  #series = null;
  #values;
  #extents;
  #colorOf;
  #views = [{ zOrder: () => "normal", renderer: () => ({ draw: (target) => this.#draw(target) }) }];

  constructor(values, colorOf) {
    [this.#values, this.#extents, this.#colorOf] = [values, new Extents(values), colorOf];
  }

  attached({ chart, series }) {
    [this.#chart, this.#series] = [chart, series];
  }

  paneViews() {
    return this.#views;
  }

  /** Return the range of values that must be visible with the bars from `start` to `end`. */
  autoscaleInfo(start, end) {
    const { min, max } = this.#extents.between(Math.ceil(start), Math.floor(end)) ?? { min: 0, max: 0 };
    return { priceRange: { minValue: Math.min(0, min), maxValue: Math.max(0, max) } };
  }

  #draw(target) {
    const seen = this.#chart.timeScale().getVisibleLogicalRange();
    if (!seen || this.#series.priceToCoordinate(0) === null) return;
    target.useBitmapCoordinateSpace(({ context, horizontalPixelRatio, verticalPixelRatio }) => {
      const tick = Math.max(1, Math.floor(verticalPixelRatio));
      const top = Math.round(this.#series.priceToCoordinate(0) * verticalPixelRatio) - Math.floor(tick / 2);
      for (const { index, left, width } of this.#places(seen, horizontalPixelRatio)) {
        const y = Math.round(this.#series.priceToCoordinate(this.#values[index]) * verticalPixelRatio);
        context.fillStyle = this.#colorOf(index);
        if (y <= top) context.fillRect(left, y, width, top + tick - y);
        else context.fillRect(left, top, width, y - Math.floor(tick / 2) + tick - top);
      }
    });
  }

  /** Yield `{index, left, width}` of each visible column in pixels; of several columns at one pixel only the longest. */
  *#places({ from, to }, ratio) {
    const scale = this.#chart.timeScale();
    const spacing = scale.options().barSpacing * ratio;
    const step = Math.max(1, Math.ceil(1 / spacing));
    const gap = Math.ceil(spacing) <= 1 ? 0 : Math.max(1, Math.floor(ratio));
    const narrowest = Math.max(1, Math.floor(spacing) - gap);
    // Starts at a multiple of the step, so that the columns stay the same while they move.
    const first = Math.max(0, Math.floor(from / step) * step);
    const start = scale.logicalToCoordinate(first) * ratio;
    // Centred like the candles.
    const half = Math.floor(Math.max(1, Math.round(spacing) - gap) / 2);
    const edge = (i) => Math.round(start + (i - first) * spacing) - half;
    for (let i = first; i < Math.min(this.#values.length, to + 1); i += step) {
      const index = this.#longest(i, Math.min(i + step, this.#values.length));
      const width = gap && narrowest < NARROW ? narrowest : Math.max(1, edge(i + step) - gap - edge(i));
      if (index !== null) yield { index, left: edge(i), width };
    }
  }

  /** Return the index of the value farthest from 0 among those from `start` to before `end`; null where all are null. */
  #longest(start, end) {
    let found = null;
    for (let i = start; i < end; i++) {
      const value = this.#values[i];
      if (value !== null && (found === null || Math.abs(value) > Math.abs(this.#values[found]))) found = i;
    }
    return found;
  }
}
