// The lines of studies. They are no series of the library: the library builds all points of a series again
// when one changes, and on the percent scale it starts each series at 0 %, so an average would leave its bars.

import { Extents } from "./extents.js";

/** Draws lines at values of the series that it is attached to; `lines` are `{values, stroke, width}`. */
export class StudyLines {
  #chart = null;
  #series = null;
  #lines;
  #views = [{ zOrder: () => "normal", renderer: () => ({ draw: (target) => this.#draw(target) }) }];

  constructor(lines) {
    this.#lines = lines.map((line) => ({ ...line, extents: new Extents(line.values) }));
  }

  attached({ chart, series }) {
    [this.#chart, this.#series] = [chart, series];
  }

  paneViews() {
    return this.#views;
  }

  /** Return the range of values that must be visible with the bars from `start` to `end`. */
  autoscaleInfo(start, end) {
    const found = this.#lines.map(({ extents }) => extents.between(Math.ceil(start), Math.floor(end))).filter(Boolean);
    if (!found.length) return null;
    return { priceRange: { minValue: Math.min(...found.map(({ min }) => min)), maxValue: Math.max(...found.map(({ max }) => max)) } };
  }

  #draw(target) {
    const seen = this.#chart.timeScale().getVisibleLogicalRange();
    if (!seen) return;
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      context.lineJoin = "round";
      const step = Math.max(1, Math.floor((seen.to - seen.from) / mediaSize.width));
      for (const line of this.#lines) {
        [context.strokeStyle, context.lineWidth] = [line.stroke, line.width];
        context.beginPath();
        this.#trace(context, line, { ...seen, step });
        context.stroke();
      }
    });
  }

  /** Add the line to the path. Where a pixel has several values, the line has the lowest and the highest of them. */
  #trace(context, { values, extents }, { from, to, step }) {
    const scale = this.#chart.timeScale();
    let isDown = false;
    // Starts at a multiple of the step, so that the line keeps its points while it moves.
    for (let i = Math.max(0, (Math.floor(from / step) - 1) * step); i < Math.min(values.length, to + 1 + step); i += step) {
      const found = step > 1 ? extents.between(i, i + step - 1) : values[i] === null ? null : { min: values[i], max: values[i] };
      for (const value of found ? new Set([found.min, found.max]) : []) {
        const y = this.#series.priceToCoordinate(value);
        if (y !== null) context[isDown ? "lineTo" : "moveTo"](scale.logicalToCoordinate(i), y);
        isDown = y !== null;
      }
      isDown &&= found !== null;
    }
  }
}
