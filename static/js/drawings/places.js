// Times and places on the time axis. A place is an index of a bar, with a fraction between two bars.

import { secondsOf } from "../bars/timeframes.js";
import { indexBefore } from "../shared/times.js";

// The mean step of this number of bars continues the axis where there are no bars.
const N_STEPS = 100;

/** Return the place of the UTC instant `time` (UNIX seconds) among the bars; outside of them the mean step counts. */
export function placeOf(time, bars, timeframe) {
  const { time: times, length } = bars;
  const index = indexBefore(times, time);
  if (index < 0) return (time - times[0]) / stepAt(bars, timeframe, false);
  if (index >= length - 1) return length - 1 + (time - times[length - 1]) / stepAt(bars, timeframe, true);
  return index + (time - times[index]) / (times[index + 1] - times[index]);
}

/** Return the UTC instant of a place in whole UNIX seconds: the inverse of `placeOf`. */
export function timeAt(place, bars, timeframe) {
  const { time: times, length } = bars;
  if (place < 0) return Math.round(times[0] + place * stepAt(bars, timeframe, false));
  if (place >= length - 1) return Math.round(times[length - 1] + (place - length + 1) * stepAt(bars, timeframe, true));
  const index = Math.floor(place);
  return Math.round(times[index] + (place - index) * (times[index + 1] - times[index]));
}

function stepAt({ time, length }, timeframe, isEnd) {
  const n = Math.min(N_STEPS, length - 1);
  if (n < 1) return secondsOf(timeframe);
  return (isEnd ? time[length - 1] - time[length - 1 - n] : time[n] - time[0]) / n;
}
