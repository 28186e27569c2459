// A forming bar in a series of its own. The library builds all bars of a series again when one of them
// changes; in this series there is nothing else to build.

import { createSeriesMarkers, LineSeries } from "../../lightweight-charts/lightweight-charts.standalone.production.mjs";
import { UNSEEN } from "./panes.js";

/** Draws the last bar of `chart`, the library's chart, in `series`. */
export class NewestBar {
  #chart;
  #series;
  #tops; // a series of the bar's highest price: its mark is over all bars
  #marks;
  #points = [];
  #mark = null;

  constructor(chart, series) {
    [this.#chart, this.#series] = [chart, series];
    // Below the other bars, so that the lines over them are over this one too.
    series.setSeriesOrder(0);
    this.#tops = chart.addSeries(LineSeries, UNSEEN);
    this.#marks = createSeriesMarkers(this.#tops, []);
  }

  /** Draw the `points`: the bar, or the two ends of the last piece of a line. */
  draw(points) {
    const newest = points.at(-1);
    if (this.#points.length && this.#points[0].time === points[0].time) this.#series.update(newest);
    else {
      if (this.#points.length) this.#series.pop(this.#points.length);
      for (const point of points) this.#series.update(point);
    }
    this.#tops.update({ time: newest.time, value: newest.high ?? newest.value });
    this.#points = points;
  }

  /** Draw `mark` at the bar; null removes it. */
  mark(mark) {
    // The library draws the whole chart again after this call.
    if (this.#mark?.time !== mark?.time || this.#mark?.text !== mark?.text) this.#marks.setMarkers(mark ? [mark] : []);
    this.#mark = mark;
  }

  remove() {
    for (const series of [this.#tops, this.#series]) this.#chart.removeSeries(series);
  }
}
