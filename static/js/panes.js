// Studies that have a pane of their own.

import { LineSeries, LineStyle } from "../lightweight-charts/lightweight-charts.standalone.production.mjs";
import { labelLast } from "./axes.js";
import { color } from "./colors.js";
import { lineData } from "./series.js";

/** Draw values from 0 to 100 in a separate pane; returns the library's series. */
export function drawInPane(chart, { time, values, stroke, pane }) {
  const series = chart.addSeries(LineSeries, {
    color: stroke, lineWidth: 1.5, lastValueVisible: false, priceLineVisible: false, crosshairMarkerVisible: false,
    priceFormat: { type: "price", precision: 1, minMove: 0.1 },
    autoscaleInfoProvider: () => ({ priceRange: { minValue: 0, maxValue: 100 } }),
  }, pane);
  series.setData(lineData(time, values));
  labelLast(series, values, { color: stroke });
  for (const price of [30, 70]) series.createPriceLine({ price, color: color("--line-strong"), lineStyle: LineStyle.Dashed, lineWidth: 1, axisLabelVisible: false });
  return series;
}
