// The timeframes of the service, by their canonical spelling.

import { timeframes } from "../shared/page-data.js";

const BY_VALUE = new Map(timeframes.map((timeframe) => [timeframe.value, timeframe]));

/** Whether bars of this timeframe are shorter than a day. */
export function isIntraday(value) {
  return unitOf(value).is_intraday;
}

/** Return the greatest length of a bar in seconds; months differ in length. */
export function secondsOf(value) {
  return Number.parseInt(value, 10) * unitOf(value).seconds;
}

/** Return the timeframe of one minute, hour, day, week or month: the unit of any timeframe. */
function unitOf(value) {
  return BY_VALUE.get(`1${value.replace(/[0-9]+/, "")}`);
}

/** Return the label of a timeframe's button, such as `5m`; minutes have their unit. */
export function labelOf(value) {
  return BY_VALUE.get(value)?.label ?? (/^[0-9]+$/.test(value) ? `${value}m` : value);
}
