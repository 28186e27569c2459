// The price axes: how each pane measures its values, and which value each series names at its side.

import { LineStyle, PriceScaleMode } from "../lightweight-charts/lightweight-charts.standalone.production.mjs";

const MODES = { linear: PriceScaleMode.Normal, log: PriceScaleMode.Logarithmic, percent: PriceScaleMode.Percentage };
// Room above and below the values, as shares of the pane's height.
const PRICE_MARGINS = { top: 0.2, bottom: 0.1 };
const OTHER_MARGINS = { top: 0.12, bottom: 0 };

/**
 * Give every pane of `chart` its scale: the prices the chosen one, the panes below a linear one.
 * The library takes what was set last as the default of panes that are made later, so this is
 * called whenever a pane may have been made, and says everything that differs between panes.
 */
export function applyScales(chart, scale) {
  chart.panes().forEach((_, index) => {
    const options = index === 0 ? { mode: MODES[scale], scaleMargins: PRICE_MARGINS } : { mode: MODES.linear, scaleMargins: OTHER_MARGINS };
    chart.priceScale("right", index).applyOptions(options);
  });
}

/**
 * Name the last of a whole series' `values` at the axis; with `hasLine` also by a line across the
 * pane. The library's own label names the last value in sight instead.
 */
export function labelLast(series, values, { color, hasLine = false, title = "" }) {
  const price = values.findLast((value) => value !== null);
  if (price === undefined) return;
  series.createPriceLine({ price, color, lineVisible: hasLine, lineStyle: LineStyle.Dashed, lineWidth: 1, axisLabelVisible: true, title });
}
