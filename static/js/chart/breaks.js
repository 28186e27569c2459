// Lines behind the bars where trading days begin and where bars are missing; off by default.

import { isIntraday, secondsOf } from "../bars/timeframes.js";
import { color } from "../shared/colors.js";

const MIN_PX_APART = 5;

/**
 * Return `{days, gaps}`: the indexes of bars that begin a trading day, and of bars after missing ones.
 * A step between two days is a gap only where the market never closes.
 */
export function findBreaks({ time, day, length }, { timeframe, isAlwaysOpen = false }) {
  const step = secondsOf(timeframe);
  const days = [];
  const gaps = [];
  for (let i = 1; i < length; i++) {
    const isNewDay = day[i] !== day[i - 1];
    if (isNewDay) days.push(i);
    if ((!isNewDay || isAlwaysOpen) && time[i] - time[i - 1] > step) gaps.push(i);
  }
  return { days, gaps };
}

/** Return the lines of the bars shown; null where each bar is a day or longer. */
export function breakLines({ bars, instrument, timeframe }) {
  if (!isIntraday(timeframe)) return null;
  const found = findBreaks(bars, { timeframe, isAlwaysOpen: instrument?.session_hours === "24x7" });
  return new BreakLines(found, { day: color("--line-strong"), gap: color("--forming") });
}

/** Draws the breaks behind the bars of a pane. */
class BreakLines {
  #chart = null;
  #view = { zOrder: () => "bottom", renderer: () => ({ draw: (target) => this.#draw(target) }) };
  #views = [this.#view];

  constructor({ days, gaps }, colors) {
    this.kinds = [{ indexes: days, color: colors.day, width: 1 }, { indexes: gaps, color: colors.gap, width: 2 }];
  }

  attached({ chart }) {
    this.#chart = chart;
  }

  paneViews() {
    return this.#views;
  }

  #draw(target) {
    const scale = this.#chart.timeScale();
    const seen = scale.getVisibleLogicalRange();
    if (!seen) return;
    target.useBitmapCoordinateSpace(({ context, bitmapSize, horizontalPixelRatio }) => {
      for (const { indexes, color, width } of this.kinds) {
        context.fillStyle = color;
        for (const x of this.#places(indexes, seen, scale)) {
          context.fillRect(Math.round(x * horizontalPixelRatio), 0, Math.max(1, Math.round(width * horizontalPixelRatio)), bitmapSize.height);
        }
      }
    });
  }

  /** Yield the x of each visible line: between the bar and the bar before it. */
  *#places(indexes, { from, to }, scale) {
    let last = -Infinity;
    for (const index of indexes) {
      if (index < from || index > to) continue;
      const x = (scale.logicalToCoordinate(index) + scale.logicalToCoordinate(index - 1)) / 2;
      if (x - last < MIN_PX_APART) continue;
      last = x;
      yield x;
    }
  }
}
