// The price axes: the scale of each pane, and the label of each series' last value.

import { LineStyle, PriceScaleMode } from "../../lightweight-charts/lightweight-charts.standalone.production.mjs";

const MODES = { linear: PriceScaleMode.Normal, log: PriceScaleMode.Logarithmic, percent: PriceScaleMode.Percentage };
// Room above and below the values, as shares of the pane's height.
const PRICE_MARGINS = { top: 0.2, bottom: 0.1 };
const OTHER_MARGINS = { top: 0.12, bottom: 0 };

/** Return the scale on which these bars can be drawn: a price of 0 or below has no logarithm and gives no percentages. */
export function possibleScale(scale, { low }) {
  return low.some((price) => price <= 0) ? "linear" : scale;
}

/**
 * Set the scale of every pane of `chart`: the chosen scale for the prices, linear for the panes below.
 * The library uses the options that were set last as the default of new panes. So call this function
 * whenever a pane may be new; it sets every option that differs between panes.
 */
export function applyScales(chart, scale) {
  chart.panes().forEach((_, index) => {
    const options = index === 0 ? { mode: MODES[scale], scaleMargins: PRICE_MARGINS } : { mode: MODES.linear, scaleMargins: OTHER_MARGINS };
    chart.priceScale("right", index).applyOptions(options);
  });
}

/**
 * Label the last of the series' `values` at the axis, and return the library's line; `hasLine` also draws a line across the pane.
 * The library's own label shows the last visible value instead.
 */
export function labelLast(series, values, { color, hasLine = false, title = "" }) {
  const price = values.findLast((value) => value !== null);
  if (price === undefined) return null;
  return series.createPriceLine({ price, color, lineVisible: hasLine, lineStyle: LineStyle.Dashed, lineWidth: 1, axisLabelVisible: true, title });
}
