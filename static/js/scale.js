// The chart's time scale: its times are UTC, its marks follow the clock of the labels.

import { defaultHorzScaleBehavior } from "../lightweight-charts/lightweight-charts.standalone.production.mjs";

/** Weighs the marks of the time scale by the labels' clock, so that a day's mark is at its midnight. */
export class ShiftedTimeScale extends defaultHorzScaleBehavior() {
  shift = () => 0;

  fillWeightsForPoints(points, start) {
    const shifted = points.map((point) => {
      const seconds = this.key(point.time);
      return { ...point, time: this.convertHorzItemToInternal(seconds + this.shift(seconds)) };
    });
    super.fillWeightsForPoints(shifted, start);
    for (let i = start; i < points.length; i++) points[i].timeWeight = shifted[i].timeWeight;
  }
}
