// Whether the market of the drawn bars is closed, and until when, by the service's calendar.

const FORMAT = new Intl.DateTimeFormat("en-GB", {
  weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZone: "UTC",
});

/** Return `closed until Mon 13 Jan, 14:30 UTC`, or an empty text while the market is open or its hours are not known. */
export function closedUntil({ opensAt }, nowMs = Date.now()) {
  const opens = Date.parse(opensAt ?? "");
  return opens > nowMs ? `closed until ${FORMAT.format(opens).replace(/^(\w+),/, "$1")} UTC` : "";
}
