// Bars in the form of the chart library's series, in the colours of the page.

import { AreaSeries, BarSeries, CandlestickSeries, LineSeries } from "../../lightweight-charts/lightweight-charts.standalone.production.mjs";
import { unfinished } from "../bars/newest.js";
import { color } from "../shared/colors.js";

/** Return the library's series and its colours for a chart type. */
export function mainSeries(type) {
  const [up, down, link] = [color("--up"), color("--down"), color("--link")];
  if (type === "line") return [LineSeries, { color: link, lineWidth: 2 }];
  if (type === "area") return [AreaSeries, { lineColor: link, lineWidth: 2, topColor: color("--area-top"), bottomColor: color("--area-bottom") }];
  if (type === "bars") return [BarSeries, { upColor: up, downColor: down, thinBars: false }];
  return [CandlestickSeries, { upColor: up, downColor: down, borderUpColor: up, borderDownColor: down, wickUpColor: up, wickDownColor: down }];
}

/** Return the points of a line; null values have no point. */
export function lineData(time, values) {
  const data = [];
  for (let i = 0; i < time.length; i++) if (values[i] !== null) data.push({ time: time[i], value: values[i] });
  return data;
}

// The word for each class of the audit; a ratio is a split or a dividend.
const FOUND = { volume: "volume revised", offset: "roll", vanished: "bar gone", feed_changed: "other feed", unexplained: "revised" };

/** Return the marks of the revisions of the bars, by time. */
export function revisionMarks(shown) {
  const marks = (shown.revisions ?? []).map((revision) => revisionMark(revision, shown.bars)).filter(Boolean);
  return marks.sort((one, other) => one.time - other.time);
}

/** Return the mark of a newest bar that was not final when it was fetched; null for a final one. */
export function newestMark(shown) {
  const found = unfinished(shown);
  return found && { time: shown.bars.time.at(-1), position: "aboveBar", shape: "circle", size: 0.4, color: color("--forming"), text: found.word };
}

/** Return the mark under the first bar of a revision, for a step of the basis under its last one; null where that is not drawn. */
function revisionMark({ finding, state, is_split: isSplit, first_time: first, last_time: last }, { time }) {
  const isStep = finding === "ratio" || finding === "offset";
  const at = Date.parse(isStep ? last : first) / 1000;
  if (!(at >= time[0] && at <= time.at(-1))) return null;
  const text = finding === "ratio" ? (isSplit ? "split" : "dividend") : FOUND[finding];
  return { time: at, position: "belowBar", shape: "arrowUp", size: 0.6, color: color(state === "open" ? "--forming" : "--muted"), text };
}

/** Return the library's price format for these prices. */
export function priceFormatOf({ step, formatPrice }) {
  return { type: "custom", minMove: step, formatter: formatPrice };
}
