// Drawings and measures in words.

import { percent, signed, wholeNumber } from "../shared/numbers.js";

const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

/** Return a drawing in words for a screen reader. */
export function inWords({ points, text }, name, { labels, formatPrice }) {
  const places = points.map(({ time, price }) => `${formatPrice(price)} at ${labels.full(time)}`);
  return `${name}${text ? ` “${text}”` : ""}: ${places.join(" to ")}`;
}

/** Return the two lines of a measure: the change of the price, and bars and time between two points. */
export function measureLines([from, to], nBars, { formatPrice }) {
  const change = to.price - from.price;
  const share = from.price > 0 ? ` (${signed((100 * change) / from.price, percent)})` : "";
  const bars = `${nBars < 0 ? "−" : ""}${wholeNumber(Math.abs(nBars))} ${Math.abs(nBars) === 1 ? "bar" : "bars"}`;
  return [`${signed(change, formatPrice)}${share}`, `${bars}, ${spanInWords(to.time - from.time)}`];
}

/** Return a time span in its two largest units: `3 d 4 h`. */
export function spanInWords(seconds) {
  const sign = seconds < 0 ? "−" : "";
  let left = Math.abs(seconds);
  const parts = [];
  for (const [size, unit] of UNITS) {
    const amount = Math.floor(left / size);
    left -= amount * size;
    if (amount || parts.length) parts.push(amount ? `${amount} ${unit}` : "");
    if (parts.length === 2) break;
  }
  return sign + (parts.filter(Boolean).join(" ") || "0 min");
}
