// The clock of the labels. The chart's times are UTC; only labels are shifted, by the zone's offset at
// their instant, and then read with the UTC methods of `Date`. Dates are in the reader's language; the
// clock has 24 hours in every language.

import { dayFormat } from "./locale.js";

const DAY_S = 86400;
const DAY = dayFormat({ weekday: "short", day: "numeric", year: "numeric" });
// Marks are written with each frame, so the names of the months are kept.
const MONTH = dayFormat({});
const MONTHS = Array.from({ length: 12 }, (_, month) => MONTH.format(Date.UTC(2025, month)));

/** Return the zone's name for the choice `utc`, `exchange`, `local` or the name of a zone. */
export function zoneOf(choice, instrument) {
  if (choice === "local") return Intl.DateTimeFormat().resolvedOptions().timeZone;
  return choice === "exchange" ? exchangeZone(instrument) : (knownZone(choice) ?? "UTC");
}

/** Return the exchange's zone; UTC where it is not known. */
export function exchangeZone(instrument) {
  return knownZone(instrument?.timezone) ?? "UTC";
}

/** Return the browser's name of a zone of the IANA database, such as `Europe/Berlin`; null for any other text. */
export function knownZone(name) {
  try {
    return name ? new Intl.DateTimeFormat("en", { timeZone: name }).resolvedOptions().timeZone : null;
  } catch {
    return null;
  }
}

/**
 * Return a function from UNIX seconds to the zone's offset from UTC in seconds.
 *
 * The browser needs microseconds for each instant, and a chart has many bars. So one offset is kept
 * for a whole week, except for weeks in which the clocks change.
 */
export function zoneOffset(zone) {
  if (zone === "UTC") return () => 0;
  const weeks = new Map();
  const exact = exactOffset(zone);
  return (seconds) => {
    const week = Math.floor(seconds / (7 * DAY_S));
    if (!weeks.has(week)) {
      const [start, end] = [exact(week * 7 * DAY_S), exact((week + 1) * 7 * DAY_S)];
      weeks.set(week, start === end ? start : null);
    }
    return weeks.get(week) ?? exact(seconds);
  };
}

function exactOffset(zone) {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: zone, hourCycle: "h23", year: "numeric", month: "numeric", day: "numeric",
    hour: "numeric", minute: "numeric", second: "numeric",
  });
  return (seconds) => {
    const parts = Object.fromEntries(format.formatToParts(seconds * 1000).map(({ type, value }) => [type, Number(value)]));
    return Date.UTC(parts.year, parts.month - 1, parts.day, parts.hour, parts.minute, parts.second) / 1000 - Math.floor(seconds);
  };
}

/**
 * Return a function from a bar's opening instant to the shift in seconds that gives the bar's trading date.
 * The dates come from the service, which has the exchange's calendar.
 */
export function tradingDayShift({ time, day }) {
  return (seconds) => (day[indexBefore(time, seconds)] ?? Math.floor(seconds / DAY_S)) * DAY_S - seconds;
}

/** Return the index of the last bar that opens at or before `seconds`; -1 for none. */
export function indexBefore(time, seconds) {
  let [low, high] = [0, time.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (time[middle] <= seconds) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The time labels of one chart, for its bars and the chosen clock. */
export class Labels {
  constructor({ choice, instrument, isIntraday, bars }) {
    this.isIntraday = isIntraday;
    const zone = zoneOf(choice, instrument);
    this.offset = zoneOffset(zone);
    /** The clock of the labels in words. */
    this.clockName = isIntraday ? `times in ${zone}` : "dates are trading days";
    // A bar of a day or more has the exchange's date, with every clock.
    this.shift = isIntraday ? this.offset : tradingDayShift(bars);
  }

  /** Return the whole label: `Fri, Feb 14, 2025 13:30`, or the date alone. */
  full(seconds) {
    const date = this.#shifted(seconds);
    return this.isIntraday ? `${dayName(date)} ${clock(date)}` : dayName(date);
  }

  /** Return the label with the offset from UTC: it is unique also when the clocks go back. */
  exact(seconds) {
    return this.isIntraday ? this.instant(seconds) : this.full(seconds);
  }

  /** Return an instant with its time of the day and the offset from UTC, also between bars of days. */
  instant(seconds) {
    const offset = this.offset(seconds);
    const date = new Date((seconds + offset) * 1000);
    return `${dayName(date)} ${clock(date)} ${offsetName(offset)}`;
  }

  /** Return the label of a mark on the time scale; `kind` as in the chart library's TickMarkType. */
  mark(seconds, kind) {
    const date = this.#shifted(seconds);
    if (kind === 0) return String(date.getUTCFullYear());
    if (kind === 1) return MONTHS[date.getUTCMonth()];
    return kind === 2 ? String(date.getUTCDate()) : clock(date);
  }

  #shifted(seconds) {
    return new Date((seconds + this.shift(seconds)) * 1000);
  }
}

/** Return an instant in UTC to the minute, as the API and the fields for dates write it: `2025-02-14 13:30`. */
export function utcMinute(seconds) {
  return new Date(seconds * 1000).toISOString().slice(0, 16).replace("T", " ");
}

function dayName(date) {
  return DAY.format(date);
}

function clock(date) {
  return date.toISOString().slice(11, 16);
}

function offsetName(seconds) {
  if (seconds === 0) return "UTC";
  const minutes = Math.round(Math.abs(seconds) / 60);
  const rest = minutes % 60 ? `:${String(minutes % 60).padStart(2, "0")}` : "";
  return `UTC${seconds < 0 ? "−" : "+"}${Math.floor(minutes / 60)}${rest}`;
}
