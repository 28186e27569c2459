// Numbers as text, in the reader's language. To make a format takes the browser long, so each is made once.

import { LOCALE } from "./locale.js";

const compact = new Intl.NumberFormat(LOCALE, { notation: "compact", maximumSignificantDigits: 4 });
const whole = new Intl.NumberFormat(LOCALE);
const plain = new Intl.NumberFormat(LOCALE, { useGrouping: false });
const exact = new Intl.NumberFormat(LOCALE, { maximumSignificantDigits: 17 });
const share = new Intl.NumberFormat(LOCALE, { style: "percent", minimumFractionDigits: 2, maximumFractionDigits: 2 });
const prices = new Map(); // the function for each number of decimals

/** Return a function that writes prices with this number of decimals. */
export function priceFormat(decimals) {
  if (!prices.has(decimals)) {
    const format = new Intl.NumberFormat(LOCALE, { minimumFractionDigits: decimals, maximumFractionDigits: decimals });
    prices.set(decimals, (price) => withMinus(price, format));
  }
  return prices.get(decimals);
}

/** Return a number of percent: `1.25%`. */
export function percent(value) {
  return withMinus(value / 100, share);
}

/** Return a volume in short: `1.25M`. */
export function shortVolume(volume) {
  return volume === null || volume === undefined ? "none" : compact.format(volume);
}

/** Return a whole number with separators. */
export function wholeNumber(value) {
  return whole.format(value);
}

/** Return a parameter of a study, without separators. */
export function plainNumber(value) {
  return plain.format(value);
}

/** Return a number with all its digits. */
export function exactNumber(value) {
  return withMinus(value, exact);
}

/** Return the price in whole steps. */
export function inSteps(price, step) {
  // Binary fractions are not exact: 3 steps of 0.1 give 0.30000000000000004.
  return Number((Math.round(price / step) * step).toPrecision(12));
}

/** Return a change with its sign. */
export function signed(value, format) {
  return value > 0 ? `+${format(value)}` : format(value);
}

/** A true minus sign is as wide as a digit, so that columns stay aligned. */
function withMinus(value, format) {
  return value < 0 ? `−${format.format(-value)}` : format.format(value);
}

/** Return an age in words: `3 minutes ago`. */
export function ageInWords(seconds) {
  const steps = [[60, "second"], [60, "minute"], [24, "hour"], [Infinity, "day"]];
  let amount = Math.floor(seconds);
  if (amount < 5) return "just now";
  for (const [size, name] of steps) {
    if (amount < size) return `${amount} ${name}${amount === 1 ? "" : "s"} ago`;
    amount = Math.floor(amount / size);
  }
  return "";
}

/** Return a time to wait in words: `45 s`, `4 min 05 s`. */
export function inTime(seconds) {
  const whole = Math.max(0, Math.ceil(seconds));
  if (whole < 60) return `${whole} s`;
  return `${Math.floor(whole / 60)} min ${String(whole % 60).padStart(2, "0")} s`;
}
