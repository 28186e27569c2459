// A range of time: the part of the request that names it, and how much of it the service holds, in words.

import { Problem } from "../shared/api.js";
import { utcMinute } from "../shared/times.js";

const MOST_HOLES = 3;

/** Whether the series is named by a range of time and not by a number of bars. */
export function hasRange({ start, end }) {
  return Boolean(start || end);
}

/** Return the range in words: `from 2024-01-01 to before 2024-04-01 UTC`. */
export function rangeInWords({ start, end }) {
  return [start && `from ${start}`, end && `to before ${end}`].filter(Boolean).join(" ") + " UTC";
}

/** Return how much of the range is held, in words; null where no range was requested. */
export function coverageInWords(shown) {
  const { range, heldFrom, heldThrough, coversStart, holes, why } = shown;
  if (!range) return null;
  const missing = [];
  if (coversStart === false && heldFrom) missing.push(`The first bar that is held opened at ${minute(heldFrom)}.`);
  if (why) missing.push(why);
  if (range.end && heldThrough && Date.parse(heldThrough) < instantOf(range.end)) missing.push(`The newest bar that is held opened at ${minute(heldThrough)}.`);
  for (const { after, before } of holes.slice(0, MOST_HOLES)) missing.push(`No fetch has covered ${minute(after)} to ${minute(before)}.`);
  if (holes.length > MOST_HOLES) missing.push(`${holes.length - MOST_HOLES} more such times are on the page of the series.`);
  return missing.length ? missing.join(" ") : "the whole range is held";
}

/** Return the problem of a reply without bars. */
export function emptyRange(reply, range) {
  const held = reply.held_from ? ` The bars that are held open from ${minute(reply.held_from)} to ${minute(reply.held_through)}.` : "";
  return new Problem({
    code: "no_bars_in_range",
    title: "No bars in this range",
    detail: `No bar is held ${rangeInWords(range)}.${held}`,
    errors: { start: [], end: [] },
  });
}

/** Return a typed instant in UNIX milliseconds; without an offset it is in UTC, as in the API. */
function instantOf(text) {
  const isLocal = text.includes("T") && !/(Z|[+-]\d\d:?\d\d)$/i.test(text);
  return Date.parse(isLocal ? `${text}Z` : text);
}

function minute(text) {
  return `${utcMinute(Date.parse(text) / 1000)} UTC`;
}
