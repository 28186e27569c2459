// New values at the end of studies' lines: a live bar changes only the last values, so only they are computed again.

import { studyLines } from "./studies.js";

const COLUMNS = ["time", "day", "open", "high", "low", "close", "volume"];
// An average that never drops a bar keeps the share e⁻⁴⁰ of one that is this many periods old: less than the numbers resolve.
const SETTLED = 40;
const WITH_MEMORY = ["ema", "rsi", "atr", "macd"];

/**
 * Compute the values of `{study, lines}` for the bars from `start` on again, in place.
 * Return whether the lines can be drawn on: not where a line has its first value, or a study its first line.
 */
export function extendLines({ study, lines }, start, shown) {
  const { bars } = shown;
  const from = firstNeeded(study, start, bars);
  const fresh = studyLines(study, from ? barsFrom(bars, from) : bars, shown);
  const isSame = fresh.length === lines.length && lines.every(({ values }, n) => values[start - 1] !== null || fresh[n].values.at(-1) === null);
  if (isSame) lines.forEach(({ values }, n) => {
    for (let i = start; i < bars.length; i++) values[i] = fresh[n].values[i - from];
  });
  return isSame;
}

/** Return the first bar that has an effect on the values from `start` on. */
function firstNeeded({ kind, parameters }, start, { day }) {
  if (kind === "vwap") return dayStart(day, start);
  // This average begins at its anchor.
  if (kind === "avwap") return 0;
  const window = parameters.reduce((sum, period) => sum + Math.ceil(period), 0);
  return Math.max(0, start - window * (WITH_MEMORY.includes(kind) ? SETTLED : 1));
}

function dayStart(day, index) {
  let first = index;
  while (first > 0 && day[first - 1] === day[index]) first--;
  return first;
}

function barsFrom(bars, first) {
  return { ...bars, ...Object.fromEntries(COLUMNS.map((name) => [name, bars[name].slice(first)])), length: bars.length - first };
}
