// The timeframes of the service, by their canonical spelling.

import { timeframes } from "./page-data.js";

const BY_VALUE = new Map(timeframes.map((timeframe) => [timeframe.value, timeframe]));

/** Whether bars of this timeframe are shorter than a day. */
export function isIntraday(value) {
  return BY_VALUE.get(value).is_intraday;
}

/** Return the greatest length of a bar in seconds; months differ in length. */
export function secondsOf(value) {
  return BY_VALUE.get(value).seconds;
}

/** Return the label of a timeframe's button, such as `5m`; an unknown spelling is returned unchanged. */
export function labelOf(value) {
  return BY_VALUE.get(value)?.label ?? value;
}
