// Open times of a market, from the instrument's session string. Holidays are not known.

import { exchangeZone, zoneOffset } from "../shared/times.js";

const DAY_S = 86400;
// Sunday is 1, as in session strings. A segment without days means Monday to Friday.
const USUAL_DAYS = "23456";
const SEGMENT = /(\d\d)(\d\d)F?\d*-(\d\d)(\d\d)F?\d*(?::([1-7]+))?/g;
// Days to search for the next opening: more than a long weekend.
const AHEAD_DAYS = 9;

/** Return a market's hours; `isKnown` is false for an unreadable session string. */
export function hoursOf(instrument) {
  const text = instrument?.session_hours ?? "";
  if (text === "24x7") return { isKnown: true, firstOpen: (seconds) => seconds, lastOpen: (_, to) => to };
  const segments = [...text.matchAll(SEGMENT)].map(segmentOf);
  if (!segments.length) return { isKnown: false, firstOpen: () => Infinity, lastOpen: (_, to) => to };
  const offset = zoneOffset(exchangeZone(instrument));
  return {
    isKnown: true,
    /** Return the first open instant at or after `seconds`. */
    firstOpen(seconds) {
      const found = openings(segments, offset, seconds, seconds + AHEAD_DAYS * DAY_S).filter(({ end }) => end > seconds);
      return Math.max(seconds, Math.min(...found.map(({ start }) => start)));
    },
    /** Return the end of the last open time between two instants; `to` where the market stays closed. */
    lastOpen(from, to) {
      const found = openings(segments, offset, from, to).filter(({ start, end }) => end > from && start < to);
      return found.length ? Math.min(to, Math.max(...found.map(({ end }) => end))) : to;
    },
  };
}

function segmentOf([, openHour, openMinute, closeHour, closeMinute, days = USUAL_DAYS]) {
  const [open, close] = [openHour * 3600 + openMinute * 60, closeHour * 3600 + closeMinute * 60];
  // A segment that ends no later than it begins has begun the evening before.
  return { from: open >= close ? open - DAY_S : open, to: close, days };
}

/** Return the open times `{start, end}` of the trading days around two instants, as UNIX seconds. */
function openings(segments, offset, from, to) {
  const utc = (local) => local - offset(local - offset(local));
  const found = [];
  for (let day = Math.floor(from / DAY_S) - 2; day <= Math.floor(to / DAY_S) + 2; day++) {
    // The first day of UNIX time was a Thursday, the fifth day of the week.
    const weekday = String(((((day + 4) % 7) + 7) % 7) + 1);
    for (const segment of segments) {
      if (!segment.days.includes(weekday)) continue;
      found.push({ start: utc(day * DAY_S + segment.from), end: utc(day * DAY_S + segment.to) });
    }
  }
  return found;
}
