// Background, grid, edges and crosshair of the chart, in the colours of the page.

import { ColorType } from "../../lightweight-charts/lightweight-charts.standalone.production.mjs";
import { color, fontFamily } from "../shared/colors.js";

/** Return the library's options in the current theme. */
export function surface() {
  const grid = { color: color("--grid") };
  const crosshair = { color: color("--muted"), labelBackgroundColor: color("--label") };
  return {
    layout: {
      background: { type: ColorType.Solid, color: color("--panel") }, textColor: color("--muted"),
      fontFamily: fontFamily(), fontSize: 12, attributionLogo: true,
      panes: { separatorColor: color("--line"), separatorHoverColor: color("--line-strong") },
    },
    grid: { vertLines: grid, horzLines: grid },
    rightPriceScale: { borderColor: color("--line") },
    timeScale: { borderColor: color("--line") },
    crosshair: { vertLine: crosshair, horzLine: crosshair },
  };
}
