// Values in a pane below the prices: a series of one point gives them an axis, primitives draw them.

import { LineSeries, LineStyle } from "../../lightweight-charts/lightweight-charts.standalone.production.mjs";
import { color } from "../shared/colors.js";
import { priceFormat, shortVolume } from "../shared/numbers.js";
import { labelLast } from "./axes.js";
import { Columns } from "./columns.js";
import { StudyLines } from "./lines.js";

// The library's own format ends at billions.
export const VOLUME_FORMAT = { type: "custom", minMove: 0.01, formatter: shortVolume };
const INDEX_FORMAT = { type: "custom", minMove: 0.1, formatter: priceFormat(1) };
// The options of a series of which nothing is drawn.
export const UNSEEN = { lineVisible: false, crosshairMarkerVisible: false, lastValueVisible: false, priceLineVisible: false };

/** One study, or the volumes, in the pane with the number `pane` of `chart`, the library's chart. */
class PaneValues {
  #chart;
  #series;
  #time;
  #lists; // the values of each line
  #labelled = []; // `{values, label}` of each line with a label at the axis

  constructor(chart, { time, pane, options, primitives, lists }) {
    [this.#chart, this.#time, this.#lists] = [chart, time, lists];
    this.#series = chart.addSeries(LineSeries, { ...UNSEEN, ...options }, pane);
    for (const primitive of primitives) this.#series.attachPrimitive(primitive);
    this.extend();
  }

  /** Label the last of the `values` at the axis in a colour. */
  label(values, options) {
    this.#labelled.push({ values, label: labelLast(this.#series, values, options) });
  }

  /** Draw a line across the pane at each of the values `guides`. */
  guide(guides) {
    for (const price of guides) this.#series.createPriceLine({ price, color: color("--line-strong"), lineStyle: LineStyle.Dashed, lineWidth: 1, axisLabelVisible: false });
  }

  /** Draw the values again after the last ones have changed. */
  extend() {
    // The library draws a pane again, and fits its axis, when a series of the pane changes. One point is enough for both.
    const last = this.#lists.map((values) => values.findLast((value) => value !== null)).find((value) => value !== undefined);
    if (last !== undefined) this.#series.update({ time: this.#time.at(-1), value: last });
    for (const { values, label } of this.#labelled) if (values.at(-1) !== null) label?.applyOptions({ price: values.at(-1) });
  }

  remove() {
    this.#chart.removeSeries(this.#series);
  }
}

/** Draw the volumes of the bars in the pane with the number `pane`. */
export function drawVolume(chart, { time, open, close, volume }, pane) {
  const [up, down] = [color("--volume-up"), color("--volume-down")];
  const columns = new Columns(volume, (i) => (close[i] >= open[i] ? up : down));
  return new PaneValues(chart, { time, pane, options: { priceFormat: VOLUME_FORMAT }, primitives: [columns], lists: [volume] });
}

/**
 * Draw the lines of a study in the pane with the number `pane`.
 * `range` and `guides` are those of `views/studies.py`; `format` is the library's format of values that are no index.
 */
export function drawInPane(chart, { time, lines, stroke, pane, range, guides, format }) {
  const [up, down] = [color("--volume-up"), color("--volume-down")];
  const curves = lines.filter(({ isHistogram }) => !isHistogram);
  const strokes = curves.map(({ values, isFaint }) => ({ values, stroke: isFaint ? color("--muted") : stroke, width: isFaint ? 1 : 1.5 }));
  const histograms = lines.filter(({ isHistogram }) => isHistogram).map(({ values }) => new Columns(values, (i) => (values[i] >= 0 ? up : down)));
  const options = { priceFormat: range ? INDEX_FORMAT : format };
  if (range) options.autoscaleInfoProvider = () => ({ priceRange: { minValue: range[0], maxValue: range[1] } });
  const drawn = new PaneValues(chart, { time, pane, options, primitives: [new StudyLines(strokes), ...histograms], lists: curves.map(({ values }) => values) });
  for (const { values, isFaint } of curves) if (!isFaint) drawn.label(values, { color: stroke });
  drawn.guide(guides);
  return drawn;
}
