// Whether the market of the drawn bars is closed, and until when, by the service's calendar.

import { dayFormat } from "../shared/locale.js";

const FORMAT = dayFormat({ weekday: "short", day: "numeric", hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/** Return `closed until Mon, Jan 13, 14:30 UTC`, or an empty text while the market is open or its hours are not known. */
export function closedUntil({ opensAt }, nowMs = Date.now()) {
  const opens = Date.parse(opensAt ?? "");
  return opens > nowMs ? `closed until ${FORMAT.format(opens)} UTC` : "";
}
