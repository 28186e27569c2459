// The range presets: spans of time that end at the newest bar.

const DAY_S = 86400;
const DAYS = { "1D": 1, "5D": 5, "1M": 30.44, "3M": 91.31, "6M": 182.62, "1Y": 365.25, "5Y": 1826.25 };

/** Return the first and last instant of a preset; null for all bars. */
export function rangeOf(name, { time }) {
  const to = time.at(-1);
  if (name === "all") return null;
  if (name === "YTD") return { from: Date.UTC(new Date(to * 1000).getUTCFullYear(), 0, 1) / 1000, to };
  return { from: to - DAYS[name] * DAY_S, to };
}

/** Whether a preset would show at least two bars, but not all of them. */
export function isUseful(name, { time }) {
  const range = rangeOf(name, { time });
  return range === null ? time.length > 0 : range.from > time[0] && range.from <= (time.at(-2) ?? -Infinity);
}
