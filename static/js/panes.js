// Studies below the prices: in the pane of the volumes, or in a pane of their own.

import { HistogramSeries, LineSeries, LineStyle } from "../lightweight-charts/lightweight-charts.standalone.production.mjs";
import { labelLast } from "./axes.js";
import { color } from "./colors.js";
import { priceFormat } from "./numbers.js";
import { lineData } from "./series.js";

const INDEX_FORMAT = { type: "custom", minMove: 0.1, formatter: priceFormat(1) };
const QUIET = { lastValueVisible: false, priceLineVisible: false };

/**
 * Draw the lines of a study in the pane with the number `pane`; returns `{series, values, label, pointAt}` of each.
 * `range` and `guides` are those of `views/studies.py`; `format` is the library's format of values that are no index.
 */
export function drawInPane(chart, { time, lines, stroke, pane, range, guides, format }) {
  const priceFormat = range ? INDEX_FORMAT : format;
  const fixed = range ? { autoscaleInfoProvider: () => ({ priceRange: { minValue: range[0], maxValue: range[1] } }) } : {};
  const drawn = lines.map(({ values, isFaint, isHistogram }) => {
    if (isHistogram) return drawHistogram(chart, { time, values, pane, priceFormat });
    const tone = isFaint ? color("--muted") : stroke;
    const series = chart.addSeries(LineSeries, { color: tone, lineWidth: isFaint ? 1 : 1.5, crosshairMarkerVisible: false, priceFormat, ...QUIET, ...fixed }, pane);
    series.setData(lineData(time, values));
    const label = isFaint ? null : labelLast(series, values, { color: stroke });
    return { series, values, label, pointAt: (i) => ({ time: time[i], value: values[i] }) };
  });
  for (const price of guides) drawn[0]?.series.createPriceLine({ price, color: color("--line-strong"), lineStyle: LineStyle.Dashed, lineWidth: 1, axisLabelVisible: false });
  return drawn;
}

/** Draw the values of a line from the bar at `start` on again; its values before are drawn. */
export function extendInPane({ series, values, label, pointAt }, start) {
  for (let i = start; i < values.length; i++) if (values[i] !== null) series.update(pointAt(i));
  if (values.at(-1) !== null) label?.applyOptions({ price: values.at(-1) });
}

function drawHistogram(chart, { time, values, pane, priceFormat }) {
  const [up, down] = [color("--volume-up"), color("--volume-down")];
  const series = chart.addSeries(HistogramSeries, { priceFormat, ...QUIET }, pane);
  const pointAt = (i) => ({ time: time[i], value: values[i], color: values[i] >= 0 ? up : down });
  const data = [];
  for (let i = 0; i < time.length; i++) if (values[i] !== null) data.push(pointAt(i));
  series.setData(data);
  return { series, values, label: null, pointAt };
}
