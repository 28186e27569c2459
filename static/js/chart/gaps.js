// Bands behind the bars where bars are missing, from the gap report of the dataset; off by default.

import { secondsOf } from "../bars/timeframes.js";
import { color } from "../shared/colors.js";
import { wholeNumber } from "../shared/numbers.js";
import { indexBefore } from "../shared/times.js";

const MIN_PX = 3;
const OPACITY = 0.28;

/** Return the colour of a kind of finding. */
export function kindColor(kind) {
  return color(`--gap-${kind.replaceAll("_", "-")}`);
}

/**
 * Return the findings within the bars shown, each with the places `left` and `right` of its band: indexes of bars.
 * A band reaches from the bar before the missing ones to the bar after them. A made bar may contain missing
 * ones; then the band is on that bar.
 */
export function placeGaps(findings, { bars: { time, length }, timeframe, madeFrom }) {
  const step = madeFrom ? secondsOf(timeframe) : 0;
  return findings.flatMap((finding) => {
    const [start, end] = [finding.start, finding.end].map((text) => Date.parse(text) / 1000);
    const [before, after] = [indexBefore(time, start - 1), indexBefore(time, end - 1) + 1];
    const isInBar = before >= 0 && time[before] + step > start;
    if (end <= time[0] || (after === length && before === length - 1 && !isInBar)) return [];
    if (madeFrom) return [{ ...finding, start, end, left: isInBar ? before - 0.5 : before + 0.5, right: after - 0.5 }];
    return [{ ...finding, start, end, left: Math.max(0, before), right: Math.min(length - 1, after) }];
  });
}

/** Return the gap nearest to the bar at `index`, at most `reach` bars away from it; else undefined. */
export function gapNear(gaps, index, reach = 0) {
  const distance = ({ left, right }) => Math.max(Math.ceil(left) - index, index - Math.floor(right), 0);
  return gaps.filter((gap) => distance(gap) <= reach).sort((a, b) => distance(a) - distance(b))[0];
}

/** Return kind, range, number of bars and reason of a gap in words, in the shown time zone. */
export function gapInWords({ kind, start, end, n_bars: n, reason }, labels) {
  const expected = n === 1 ? "1 bar is missing" : `${wholeNumber(n)} bars are missing`;
  return `${kind.replaceAll("_", " ")}: ${expected}, ${labels.instant(start)} – ${labels.instant(end)}. ${reason}`;
}

/** Draws the gaps behind the bars of a pane. */
export class GapBands {
  #chart = null;
  #gaps;
  #views = [{ zOrder: () => "bottom", renderer: () => ({ draw: (target) => this.#draw(target) }) }];

  constructor(gaps) {
    this.#gaps = gaps.map((gap) => ({ ...gap, stroke: kindColor(gap.kind) }));
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
    // The library gives coordinates of whole indexes only.
    const [origin, spacing] = [scale.logicalToCoordinate(0), scale.options().barSpacing];
    target.useBitmapCoordinateSpace(({ context, bitmapSize, horizontalPixelRatio: ratio }) => {
      for (const { left, right, stroke } of this.#gaps) {
        if (right < seen.from || left > seen.to) continue;
        const width = Math.max(MIN_PX, (right - left) * spacing);
        const middle = origin + ((left + right) / 2) * spacing;
        const [x, w, edge] = [(middle - width / 2) * ratio, width * ratio, ratio].map(Math.round);
        context.fillStyle = stroke;
        context.globalAlpha = OPACITY;
        context.fillRect(x, 0, w, bitmapSize.height);
        context.globalAlpha = 1;
        for (const at of [x, x + w - edge]) context.fillRect(at, 0, edge, bitmapSize.height);
      }
    });
  }
}
