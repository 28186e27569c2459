// The lines of studies in the price pane. They are no series of the library: on the percent scale the
// library starts each series at 0 %, so an average or a band would leave its bars.

const POINTS_PER_PX = 2;

/** Draws lines at prices of the series that it is attached to; `lines` are `{values, stroke, width}`. */
export class PriceLines {
  #chart = null;
  #series = null;
  #lines;
  #views = [{ zOrder: () => "normal", renderer: () => ({ draw: (target) => this.#draw(target) }) }];

  constructor(lines) {
    this.#lines = lines;
  }

  attached({ chart, series }) {
    [this.#chart, this.#series] = [chart, series];
  }

  paneViews() {
    return this.#views;
  }

  /** Return the range of prices that must be visible with the bars from `start` to `end`. */
  autoscaleInfo(start, end) {
    let [minValue, maxValue] = [Infinity, -Infinity];
    for (const { values } of this.#lines) {
      for (let i = Math.max(0, Math.ceil(start)); i <= Math.min(values.length - 1, end); i++) {
        if (values[i] === null) continue;
        if (values[i] < minValue) minValue = values[i];
        if (values[i] > maxValue) maxValue = values[i];
      }
    }
    return minValue <= maxValue ? { priceRange: { minValue, maxValue } } : null;
  }

  #draw(target) {
    const seen = this.#chart.timeScale().getVisibleLogicalRange();
    if (!seen) return;
    target.useMediaCoordinateSpace(({ context, mediaSize }) => {
      context.lineJoin = "round";
      // More points than this are invisible.
      const step = Math.max(1, Math.floor((seen.to - seen.from) / (mediaSize.width * POINTS_PER_PX)));
      for (const { values, stroke, width } of this.#lines) {
        [context.strokeStyle, context.lineWidth] = [stroke, width];
        context.beginPath();
        this.#trace(context, values, { ...seen, step });
        context.stroke();
      }
    });
  }

  #trace(context, values, { from, to, step }) {
    const scale = this.#chart.timeScale();
    let isDown = false;
    // Starts at a multiple of the step, so that the line keeps its points while it moves.
    for (let i = Math.max(0, (Math.floor(from / step) - 1) * step); i < Math.min(values.length, to + 1 + step); i += step) {
      const y = values[i] === null ? null : this.#series.priceToCoordinate(values[i]);
      if (y !== null) context[isDown ? "lineTo" : "moveTo"](scale.logicalToCoordinate(i), y);
      isDown = y !== null;
    }
  }
}
