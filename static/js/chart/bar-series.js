// The bars of the chart: the library's series, the label of the last price, and the marks of bars.

import { createSeriesMarkers } from "../../lightweight-charts/lightweight-charts.standalone.production.mjs";
import { heikinAshi } from "../bars/bars.js";
import { color } from "../shared/colors.js";
import { labelLast } from "./axes.js";
import { NewestBar } from "./forming-bar.js";
import { mainSeries, newestMark, priceFormatOf, revisionMarks } from "./series.js";

/** Draws the bars `shown` in the first pane of `chart`, the library's chart, in the form `type`. */
export class DrawnBars {
  #chart;
  #shown;
  #type;
  #prices; // the bars, or their averages
  #series;
  #count = 0; // number of bars in the series
  #newest = null; // the forming bar, where it has a series of its own
  #marks = null;
  #label;
  #tones;

  constructor(chart, shown, { type, isPercent }) {
    [this.#chart, this.#shown, this.#type] = [chart, shown, type];
    const { bars } = shown;
    this.#prices = type === "heikin-ashi" ? heikinAshi(bars) : bars;
    // Heikin-Ashi prices are averages, so the label at the axis shows the true close.
    this.#tones = type === "heikin-ashi" ? { up: color("--muted"), down: color("--muted") } : { up: color("--label-up"), down: color("--label-down") };
    this.#series = this.#addSeries();
    this.#count = bars.length - (this.#isApart(isPercent) ? 1 : 0);
    this.#series.setData(Array.from({ length: this.#count }, (_, i) => this.#pointAt(i)));
    if (this.#count < bars.length) this.#drawNewest();
    this.#label = labelLast(this.#series, bars.close, { color: this.#labelColor(), hasLine: true, title: type === "heikin-ashi" ? "close" : "" });
    this.refreshMarks();
  }

  /** The library's series of the bars. */
  get series() {
    return this.#series;
  }

  /** Draw the bars from the one at `start` on again: the last drawn one may have changed, the others are new. */
  extend(start, { isPercent }) {
    const { bars } = this.#shown;
    if (this.#type === "heikin-ashi") heikinAshi(bars, start, this.#prices);
    const wasApart = this.#newest !== null;
    const isApart = this.#isApart(isPercent);
    // A last bar of the series may be hollow, although it has ended by now.
    for (let i = wasApart ? this.#count : this.#count - 1; i < bars.length - (isApart ? 1 : 0); i++) this.#series.update(this.#pointAt(i));
    this.#count = bars.length - (isApart ? 1 : 0);
    if (isApart) this.#drawNewest();
    else this.#removeNewest();
    this.#label?.applyOptions({ price: bars.close.at(-1), color: this.#labelColor() });
    if (isApart && wasApart) this.#newest.mark(newestMark(this.#shown));
    else this.refreshMarks();
  }

  /** Update the marks: the newest bar has ended, or revisions are known. */
  refreshMarks() {
    const newest = newestMark(this.#shown);
    const marks = revisionMarks(this.#shown);
    if (this.#newest) this.#newest.mark(newest);
    else if (newest) marks.push(newest);
    // With marks, each change of the series takes more time.
    if (marks.length) this.#marks ??= createSeriesMarkers(this.#series);
    this.#marks?.setMarkers(marks);
  }

  remove() {
    this.#removeNewest();
    this.#chart.removeSeries(this.#series);
  }

  #addSeries() {
    const [definition, options] = mainSeries(this.#type);
    return this.#chart.addSeries(definition, { ...options, priceFormat: priceFormatOf(this.#shown), lastValueVisible: false, priceLineVisible: false });
  }

  /**
   * Whether the newest bar has a series of its own. It has none on the percent scale, where the library starts each
   * series at 0 %, and in an area, whose fill would have a seam.
   */
  #isApart(isPercent) {
    const { bars, isForming } = this.#shown;
    return isForming && !isPercent && this.#type !== "area" && bars.length > 1 && this.#count < bars.length;
  }

  #drawNewest() {
    this.#newest ??= new NewestBar(this.#chart, this.#addSeries());
    const last = this.#shown.bars.length - 1;
    this.#newest.draw((this.#type === "line" ? [last - 1, last] : [last]).map((i) => this.#pointAt(i)));
  }

  #removeNewest() {
    this.#newest?.remove();
    this.#newest = null;
  }

  /** Return the library's point of the bar at `i`. */
  #pointAt(i) {
    const { bars, isForming } = this.#shown;
    const time = bars.time[i];
    if (this.#type === "line" || this.#type === "area") return { time, value: bars.close[i] };
    const { open, high, low, close } = this.#prices;
    const point = { time, open: open[i], high: high[i], low: low[i], close: close[i] };
    // A bar that is still forming is drawn hollow.
    if (isForming && i === bars.length - 1 && this.#type !== "bars") point.color = "transparent";
    return point;
  }

  #labelColor() {
    const { bars } = this.#shown;
    return bars.close.at(-1) >= bars.open.at(-1) ? this.#tones.up : this.#tones.down;
  }
}
