// Indicators: pure functions of lists of numbers, and the lines that each kind of study draws with
// them. Every result has the length of its input, with null where the window is not full.

import { hoursOf } from "../bars/hours.js";
import { isIntraday, secondsOf } from "../bars/timeframes.js";
import { indexBefore } from "../shared/times.js";

// The lines of each kind of `views/studies.py`, as functions of the bars, the parameters and the facts
// of the bars.
export const LINES = {
  sma: ({ close }, [period]) => [{ values: sma(close, period) }],
  ema: ({ close }, [period]) => [{ values: ema(close, period) }],
  bb: bandLines,
  vwap: vwapLines,
  avwap: anchoredLines,
  rsi: ({ close }, [period]) => [{ values: rsi(close, period) }],
  stochastic: stochasticLines,
  macd: macdLines,
  atr: (bars, [period]) => [{ values: averageTrueRange(bars, period) }],
  donchian: channelLines,
  volume: volumeLines,
};

/** Simple moving average of the last `period` values. */
export function sma(values, period) {
  return rolling(values, period, mean);
}

/** Exponential moving average: 2 / (period + 1), begun with the simple average of the first window. */
export function ema(values, period) {
  const result = new Array(values.length).fill(null);
  if (values.length < period) return result;
  const weight = 2 / (period + 1);
  let current = mean(values, 0, period);
  result[period - 1] = current;
  for (let i = period; i < values.length; i++) {
    current += weight * (values[i] - current);
    result[i] = current;
  }
  return result;
}

/** MACD: the difference of two exponential averages, its own exponential average, and how far it is above that. */
export function macd(values, fast, slow, period) {
  const [near, far] = [ema(values, fast), ema(values, slow)];
  const line = near.map((value, i) => difference(value, far[i]));
  const signal = sinceFirst(line, (known) => ema(known, period));
  return { line, signal, histogram: line.map((value, i) => difference(value, signal[i])) };
}

/** Average true range after Wilder, begun with the plain average of the first window. */
export function averageTrueRange({ high, low, close, length }, period) {
  const result = new Array(length).fill(null);
  let total = 0;
  for (let i = 0; i < length; i++) {
    const before = i ? close[i - 1] : low[i];
    const range = Math.max(high[i], before) - Math.min(low[i], before);
    total = i < period ? total + range / period : total + (range - total) / period;
    if (i >= period - 1) result[i] = total;
  }
  return result;
}

/** Stochastic: where the close is between the lowest and the highest price of the window, 0 to 100, smoothed; and its average. */
export function stochastic({ high, low, close }, period, smoothing, signal) {
  const { upper, lower } = donchian({ high, low }, period);
  const raw = upper.map((top, i) => (top === null ? null : top === lower[i] ? 50 : (100 * (close[i] - lower[i])) / (top - lower[i])));
  const line = sinceFirst(raw, (known) => sma(known, smoothing));
  return { line, signal: sinceFirst(line, (known) => sma(known, signal)) };
}

/** Donchian channel: the highest and the lowest price of the window, and the middle between them. */
export function donchian({ high, low }, period) {
  const upper = rolling(high, period, (values, start, end) => extreme(values, start, end, 1));
  const lower = rolling(low, period, (values, start, end) => extreme(values, start, end, -1));
  return { upper, lower, middle: upper.map((top, i) => (top === null ? null : (top + lower[i]) / 2)) };
}

/** Bollinger bands: the simple average, and `width` standard deviations (of the population) around it. */
export function bollinger(values, period, width) {
  const middle = sma(values, period);
  const spread = rolling(values, period, deviation);
  const at = (sign) => middle.map((value, i) => (value === null ? null : value + sign * width * spread[i]));
  return { middle, upper: at(1), lower: at(-1) };
}

/** Relative strength index after Wilder, 0 to 100; 50 where no price has moved. */
export function rsi(values, period) {
  const result = new Array(values.length).fill(null);
  let gain = 0;
  let loss = 0;
  for (let i = 1; i < values.length; i++) {
    const change = values[i] - values[i - 1];
    // The first window is a plain average; each later change replaces one share of it.
    const rest = i <= period ? 1 : 1 - 1 / period;
    gain = gain * rest + Math.max(change, 0) / period;
    loss = loss * rest + Math.max(-change, 0) / period;
    if (i >= period) result[i] = gain + loss === 0 ? 50 : (100 * gain) / (gain + loss);
  }
  return result;
}

/**
 * Volume-weighted average of (high + low + close) / 3 since the beginning of each day.
 *
 * `day` is the trading day of each bar. Null until a day has volume.
 */
export function vwap(bars) {
  const { day } = bars;
  return volumeWeighted(bars, 0, (i) => day[i] !== day[i - 1]);
}

/** Volume-weighted average of (high + low + close) / 3 since the bar at `first`. Null before it, and until there is volume. */
export function anchoredVwap(bars, first) {
  return volumeWeighted(bars, first, () => false);
}

/** Return the index of the bar that contains the instant `anchor`, else of the first bar after it; -1 before the bars, `length` after them. */
export function anchorIndex({ time, length }, anchor, { timeframe, instrument }) {
  const before = indexBefore(time, anchor);
  if (before < 0) return -1;
  const end = hoursOf(instrument).lastOpen(time[before], time[before] + secondsOf(timeframe));
  return anchor < end ? before : Math.min(before + 1, length);
}

function volumeWeighted({ high, low, close, volume, length }, first, isStart) {
  const result = new Array(length).fill(null);
  let money = 0;
  let traded = 0;
  for (let i = first; i < length; i++) {
    if (isStart(i)) [money, traded] = [0, 0];
    const units = volume[i] ?? 0;
    money += (units * (high[i] + low[i] + close[i])) / 3;
    traded += units;
    if (traded > 0) result[i] = money / traded;
  }
  return result;
}

function bandLines({ close }, [period, width]) {
  const { middle, upper, lower } = bollinger(close, period, width);
  return [{ values: middle }, { values: upper, isFaint: true }, { values: lower, isFaint: true }];
}

function channelLines(bars, [period]) {
  const { middle, upper, lower } = donchian(bars, period);
  return [{ values: upper }, { values: lower }, { values: middle, isFaint: true }];
}

function stochasticLines(bars, [period, smoothing, signal]) {
  const found = stochastic(bars, period, smoothing, signal);
  return [{ values: found.line }, { values: found.signal, isFaint: true }];
}

function macdLines({ close }, [fast, slow, period]) {
  const { line, signal, histogram } = macd(close, fast, slow, period);
  return [{ values: line }, { values: signal, isFaint: true }, { values: histogram, isHistogram: true }];
}

function volumeLines({ volume, hasVolume }, [period]) {
  // A window with a bar without volume has no average.
  const average = (values, start, end) => (values.slice(start, end).includes(null) ? null : mean(values, start, end));
  return hasVolume ? [{ values: rolling(volume, period, average) }] : [];
}

function vwapLines(bars, _, { timeframe }) {
  // With one bar a day there is nothing to average.
  if (!isIntraday(timeframe) || !bars.hasVolume) return [];
  return [{ values: vwap(bars) }];
}

function anchoredLines(bars, [anchor], facts) {
  const first = anchorIndex(bars, anchor, facts);
  // An average that began with a later bar than its anchor would have wrong values.
  if (!bars.hasVolume || first < 0 || first === bars.length) return [];
  return [{ values: anchoredVwap(bars, first) }];
}

function difference(one, other) {
  return one === null || other === null ? null : one - other;
}

/** Return what `measure` makes of the values after the leading nulls, with these nulls before it. */
function sinceFirst(values, measure) {
  const first = values.findIndex((value) => value !== null);
  return first < 0 ? values : [...values.slice(0, first), ...measure(values.slice(first))];
}

// Each window is summed separately. A running sum is faster, but its rounding errors add up: prices of
// 60,000 that move by cents would lose their deviation.
function rolling(values, period, measure) {
  return values.map((_, i) => (i + 1 < period ? null : measure(values, i + 1 - period, i + 1)));
}

function mean(values, start, end) {
  let sum = 0;
  for (let i = start; i < end; i++) sum += values[i];
  return sum / (end - start);
}

/** Return the highest of the values with a sign of 1, the lowest with a sign of -1. */
function extreme(values, start, end, sign) {
  let found = values[start];
  for (let i = start + 1; i < end; i++) if (sign * (values[i] - found) > 0) found = values[i];
  return found;
}

function deviation(values, start, end) {
  const center = mean(values, start, end);
  let sum = 0;
  for (let i = start; i < end; i++) sum += (values[i] - center) ** 2;
  return Math.sqrt(sum / (end - start));
}
