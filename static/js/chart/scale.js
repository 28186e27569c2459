// The chart's time scale: its times are UTC, its marks follow the clock of the labels.

import { defaultHorzScaleBehavior } from "../../lightweight-charts/lightweight-charts.standalone.production.mjs";

/** Weighs the marks of the time scale by the labels' clock, so that a day's mark is at its midnight. */
export class ShiftedTimeScale extends defaultHorzScaleBehavior() {
  shift = () => 0;

  fillWeightsForPoints(points, start) {
    // A weight depends on the point and the one before it.
    const first = Math.max(0, start - 1);
    const shifted = points.slice(first).map(({ time }) => {
      const seconds = this.key(time);
      return { time: this.convertHorzItemToInternal(seconds + this.shift(seconds)), timeWeight: 0 };
    });
    super.fillWeightsForPoints(shifted, start - first);
    for (let i = start; i < points.length; i++) points[i].timeWeight = shifted[i - first].timeWeight;
  }
}
