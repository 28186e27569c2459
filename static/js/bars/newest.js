// The newest bar: whether it has ended since it was fetched, and since when a newer bar must exist.

import { utcMinute } from "../shared/times.js";
import { hoursOf } from "./hours.js";
import { secondsOf } from "./timeframes.js";

// Time that the feed needs to send the first price of a new bar.
const GRACE_S = 5;
// The longest time of a browser's timer, about 25 days.
const MAX_TIMER_MS = 2 ** 31 - 1;
const FORMING = {
  word: "forming", title: "This bar had not ended when it was fetched. Its values may have changed since then.",
};
const INCOMPLETE = {
  word: "incomplete", title: "This bar has ended since it was fetched. Press Fetch for its final values.",
};

let endTimer = null;

/** Return `{word, title, asOf}` for a newest bar that was not final when it was fetched; null for a final one. */
export function unfinished(shown, nowMs = Date.now()) {
  if (!shown.isForming) return null;
  const kind = nowMs / 1000 < endOf(shown) ? FORMING : INCOMPLETE;
  return { ...kind, asOf: momentOf(shown.heardAt ?? shown.fetchedAt, nowMs) };
}

/** Call `onEnd` when a newest bar ends that was forming when it was fetched; only the last call counts. */
export function watchEnd(shown, onEnd) {
  clearTimeout(endTimer);
  if (!shown?.isForming) return;
  const ms = endOf(shown) * 1000 - Date.now();
  if (ms > 0 && ms < MAX_TIMER_MS) endTimer = setTimeout(onEnd, ms);
}

/** Return when the newest bar ends at the latest, as UNIX seconds. */
function endOf({ bars, timeframe, instrument }) {
  const opened = bars.time.at(-1);
  return hoursOf(instrument).lastOpen(opened, opened + secondsOf(timeframe));
}

/**
 * Return for how many seconds newer data than these bars must have existed; null where that is not
 * certain. Newer data are a bar after the last one, or the final values of a last bar that was forming.
 */
export function overdueFor(shown, nowMs = Date.now()) {
  const { bars, timeframe, madeFrom, instrument, isForming, fetchedAt } = shown;
  const delay = (instrument?.delay_s ?? 0) + GRACE_S;
  const fetched = Date.parse(fetchedAt) / 1000;
  const hours = hoursOf(instrument);
  // A made bar exists only when it is whole.
  const length = secondsOf(timeframe) * (madeFrom ? 2 : 1);
  let next = hours.firstOpen(bars.time.at(-1) + length) + delay;
  // The market should have been open, but it had no bar: a holiday, or no trades.
  if (fetched >= next) next = hours.firstOpen(fetched - delay + length) + delay;
  const end = isForming && hours.isKnown ? endOf(shown) + delay : Infinity;
  const due = fetched < end ? Math.min(next, end) : next;
  const seconds = Math.floor(nowMs / 1000 - due);
  return seconds >= 0 ? seconds : null;
}

/** Return a moment as `14:32 UTC`, with its date where that is not today. */
function momentOf(text, nowMs) {
  const written = utcMinute(Date.parse(text) / 1000);
  const isToday = written.slice(0, 10) === utcMinute(nowMs / 1000).slice(0, 10);
  return `${isToday ? written.slice(11) : written} UTC`;
}
