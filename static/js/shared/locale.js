// The reader's language for numbers and dates, as the browser states it.

/**
 * The locale of all formats. The digits are Latin and the calendar is the Gregorian one in every
 * language, because the axes, the downloads and the exchanges have these.
 */
export const LOCALE = new Intl.Locale(new Intl.NumberFormat().resolvedOptions().locale, { numberingSystem: "latn", calendar: "gregory" }).toString();

/** Return a format of dates in UTC whose month is a word, also in a language that usually writes it as a number. */
export function dayFormat(options) {
  const make = (month) => new Intl.DateTimeFormat(LOCALE, { ...options, month, timeZone: "UTC" });
  const format = make("short");
  const month = format.formatToParts(0).find(({ type }) => type === "month").value;
  return /\p{L}/u.test(month) ? format : make("long");
}
