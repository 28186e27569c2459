// Bars in the page: one list for each column, times in whole UNIX seconds.

import { priceFormat } from "../shared/numbers.js";

const DAY_S = 86400;

/** Return the page's bars from the API's reply in columns; `day` is the trading day of each bar, in days since 1970. */
export function barsOf(reply) {
  const columns = reply.ohlc;
  const { length } = columns.time;
  const hasVolume = columns.volume.some((volume) => volume !== null);
  return { ...columns, day: daysOf(reply.trading_days, columns.time), length, hasVolume };
}

function daysOf(tradingDays, time) {
  // A reply of an older version, which the browser has kept, has no trading days.
  if (!tradingDays) return time.map((seconds) => Math.floor(seconds / DAY_S));
  const { first, date } = tradingDays;
  const { length } = time;
  const days = new Array(length);
  first.forEach((begin, n) => days.fill(Date.parse(date[n]) / (DAY_S * 1000), begin, first[n + 1] ?? length));
  return days;
}

/** Return the first `count` of the `older` bars, and `bars` after them. */
export function joined(older, count, bars) {
  const columns = ["time", "day", "open", "high", "low", "close", "volume"];
  const both = columns.map((name) => [name, older[name].slice(0, count).concat(bars[name])]);
  return { ...bars, ...Object.fromEntries(both), length: count + bars.length, hasVolume: bars.hasVolume || older.hasVolume };
}

/** Put `{time, open, high, low, close, volume, day}` at the position `at`, which is at most one after the last bar. */
export function putBar(bars, at, bar) {
  for (const name of ["time", "open", "high", "low", "close", "volume", "day"]) bars[name][at] = bar[name];
  bars.length = Math.max(bars.length, at + 1);
}

/** Return the Heikin-Ashi open, high, low and close of each bar; of those from `start` on in `result`, which has the ones before. */
export function heikinAshi({ open, high, low, close, length }, start = 0, result = { open: [], high: [], low: [], close: [] }) {
  for (let i = start; i < length; i++) {
    const average = (open[i] + high[i] + low[i] + close[i]) / 4;
    const begin = i === 0 ? (open[0] + close[0]) / 2 : (result.open[i - 1] + result.close[i - 1]) / 2;
    result.open[i] = begin;
    result.close[i] = average;
    result.high[i] = Math.max(high[i], begin, average);
    result.low[i] = Math.min(low[i], begin, average);
  }
  return result;
}

/** Return `{step, formatPrice}`: the smallest move of the prices, and a function that writes a price. */
export function pricesOf(instrument, bars) {
  const { decimals, step } = priceStep(instrument, bars);
  return { step, formatPrice: priceFormat(decimals) };
}

/** Return `{decimals, step}` of the prices: from the instrument, else from the digits of the bars. */
export function priceStep(instrument, bars) {
  const { pricescale, minmov } = instrument ?? {};
  if (pricescale > 0) return stepOfScale(pricescale, minmov || 1);
  const decimals = neededDecimals(bars);
  return { decimals, step: 10 ** -decimals };
}

function stepOfScale(scale, move) {
  const decimals = Math.ceil(Math.log10(scale) - 1e-9);
  // A scale that is no power of ten (32nds, 64ths) needs more digits than its logarithm.
  const isDecimal = Math.abs(10 ** decimals - scale) < 1e-6;
  return { decimals: isDecimal ? decimals : Math.max(decimals, 5), step: move / scale };
}

// Prices that differ by less than this share are equal: binary fractions are not exact.
const SAME = 1e-9;
const MAX_DECIMALS = 12;
const SAMPLE = 500;

function neededDecimals({ close, high, low }) {
  let decimals = 2;
  for (const column of [close, high, low]) {
    const every = Math.max(1, Math.floor(column.length / SAMPLE));
    for (let i = 0; i < column.length; i += every) decimals = Math.max(decimals, decimalsOf(column[i], decimals));
  }
  return decimals;
}

function decimalsOf(price, atLeast) {
  for (let decimals = atLeast; decimals < MAX_DECIMALS; decimals++) {
    if (Math.abs(Number(price.toFixed(decimals)) - price) <= Math.abs(price) * SAME) return decimals;
  }
  return MAX_DECIMALS;
}
