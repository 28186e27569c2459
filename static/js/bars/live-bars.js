// Live bars of the drawn series: asks the service as often as its last reply says while the page is visible, and shows the state.

import { isAbort, loadKept } from "../shared/api.js";
import { findArchive } from "./archive.js";

const POLL_S = 5; // until the first reply
const COLUMNS = ["open", "high", "low", "close", "volume"];
// In these states the chart has all bars, so that the badge of missing bars is not needed.
const COMPLETE = ["live", "delayed"];
const label = document.getElementById("live-state");

/** Adds live bars to `chart`; `onBars` is called after each change, `onReply` with each reply, `onComplete` with whether no bar is missing. */
export class LiveBars {
  #chart;
  #url;
  #onBars;
  #onReply;
  #onComplete;
  #archive = null; // the address of the drawn series' archive
  #reply = null;
  #isComplete = false; // whether the chart has all bars by now
  #since = null; // the first bar whose last values no fetch has brought yet, UNIX seconds
  #clock = null;
  #next = null; // the timer of the next request
  #request = new AbortController();

  constructor(chart, { url, onBars, onReply, onComplete }) {
    [this.#chart, this.#url, this.#onBars, this.#onReply, this.#onComplete] = [chart, url, onBars, onReply, onComplete];
    document.addEventListener("visibilitychange", () => this.#ask());
  }

  /** Follow the bars that are drawn now; a range with an end and bars of other timeframes have no live bars. */
  async follow() {
    this.stop();
    const { shown } = this.#chart;
    if (shown.range?.end || shown.madeFrom) return;
    const { signal } = this.#request;
    try {
      this.#archive = await findArchive(this.#url, shown, signal);
    } catch (error) {
      // Without the archive's address the chart shows no live bars, and says nothing about them.
      return void this.#failed(error);
    }
    if (!this.#archive || signal.aborted) return;
    this.#clock = setInterval(() => this.#show(), 1000);
    this.#ask();
  }

  /** Ask for nothing more. */
  stop() {
    this.#request.abort();
    this.#request = new AbortController();
    clearInterval(this.#clock);
    clearTimeout(this.#next);
    [this.#archive, this.#reply, this.#since, this.#isComplete] = [null, null, null, false];
    this.#show();
  }

  async #ask() {
    if (!this.#archive || document.hidden) return;
    const { shown } = this.#chart;
    const { signal } = this.#request;
    const since = new Date((this.#since ?? shown.bars.time.at(-1)) * 1000).toISOString();
    try {
      const reply = await loadKept(`${this.#archive}/live?${new URLSearchParams({ since })}`, signal);
      if (signal.aborted || this.#chart.shown !== shown) return;
      this.#take(reply);
    } catch (error) {
      // The next request may succeed; the drawn bars stay.
      this.#failed(error);
    } finally {
      if (!signal.aborted) {
        clearTimeout(this.#next);
        this.#next = setTimeout(() => this.#ask(), (this.#reply?.poll_s ?? POLL_S) * 1000);
      }
    }
  }

  #take(reply) {
    this.#reply = reply;
    this.#onReply(reply);
    const news = reply.ohlc.map((bar, n) => ({ ...bar, time: Date.parse(bar.time) / 1000, day: Date.parse(reply.trading_dates[n]) / 86_400_000 }));
    const { shown } = this.#chart;
    const start = placeOf(news, shown.bars);
    const isComplete = COMPLETE.includes(reply.state) && start !== null;
    if (isComplete !== this.#isComplete) this.#onComplete((this.#isComplete = isComplete));
    if (start !== null) this.#since = reply.unconfirmed_from && Date.parse(reply.unconfirmed_from) / 1000;
    const changed = start === null ? -1 : news.findIndex((bar, n) => COLUMNS.some((name) => bar[name] !== shown.bars[name][start + n]));
    if (changed >= 0 || (start !== null && shown.isForming !== reply.forming)) {
      const from = changed >= 0 ? changed : news.length - 1;
      this.#chart.update(news.slice(from), start + from, { isForming: reply.forming, heardAt: reply.heard_at });
      this.#onBars();
    }
    this.#show();
  }

  #show() {
    const reply = this.#reply;
    const text = reply && reply.state !== "off" && reply.state !== "behind" ? reply.summary : "";
    const left = reply?.closes_at && COMPLETE.includes(reply.state) ? timeLeft(Date.parse(reply.closes_at) - Date.now()) : "";
    label.hidden = !text;
    label.className = `badge badge-live state-${reply?.state}`;
    label.textContent = [text, left && `bar ends in ${left}`].filter(Boolean).join(" · ");
    label.title = reply?.error?.message ?? "The newest bar moves by itself; the archive keeps a bar once it has closed.";
  }

  #failed(error) {
    if (!isAbort(error) && !("code" in error)) throw error;
  }
}

/** Return the position of the first live bar among the drawn ones; null where the two do not follow each other without a hole. */
function placeOf(news, { time, length }) {
  const start = news.length ? time.lastIndexOf(news[0].time) : -1;
  const isSame = start >= 0 && news.length >= length - start && news.every((bar, n) => start + n >= length || bar.time === time[start + n]);
  return isSame ? start : null;
}

/** Return `4:07`, `1:04:07` or `2 d 3 h`; an empty text for a time that is over. */
function timeLeft(ms) {
  const seconds = Math.ceil(ms / 1000);
  if (seconds <= 0) return "";
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor((seconds % 86_400) / 3600), Math.floor((seconds % 3600) / 60)];
  if (days) return `${days} d ${hours} h`;
  const clock = [minutes, seconds % 60].map((number) => String(number).padStart(2, "0"));
  return hours ? [hours, ...clock].join(":") : [minutes, clock[1]].join(":");
}
