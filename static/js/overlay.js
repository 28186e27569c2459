// What lies over the chart: nothing yet, on its way, or what went wrong.

import { wholeNumber } from "./numbers.js";

// A quick answer should not flash.
const BUSY_AFTER_MS = 200;
const TICK_MS = 100;
const element = (name) => document.getElementById(name);

const OPERATOR = "That is for whoever runs this service.";
const KEPT = "Bars that are kept already still open.";
// For each stable code: a heading, and what the API's own sentence leaves to say.
const WORDS = {
  invalid_request: ["This cannot be fetched", ""],
  symbol_not_found: ["Unknown symbol", ""],
  no_data: ["No bars", "Try another timeframe, or another exchange that lists the same symbol."],
  not_permitted: ["Not permitted", ""],
  timeframe_unavailable: ["No such timeframe here", ""],
  auth_failed: ["Sign-in refused", OPERATOR],
  auth_captcha: ["Sign-in needs a captcha", OPERATOR],
  auth_two_factor: ["Sign-in needs a second factor", OPERATOR],
  auth_expired: ["Sign-in has expired", OPERATOR],
  rate_limited: ["Too many calls", KEPT],
  feed_timeout: ["The feed is silent", ""],
  feed_unreachable: ["The feed cannot be reached", KEPT],
  feed_closed: ["The feed hung up", KEPT],
  feed_protocol: ["The feed was not understood", "Whoever runs this service finds more in the worker's log."],
  bad_bars: ["The bars are damaged", "Nothing was stored; the reply is kept for whoever runs this service."],
  wrong_bars: ["The feed answered with other bars", "Nothing was stored; the reply is kept for whoever runs this service."],
  bars_changed: ["The feed changed its own bars", "Nothing was stored; the reply is kept for whoever runs this service."],
  store_failed: ["The bars could not be stored", OPERATOR],
  store_unavailable: ["The datasets cannot be reached", OPERATOR],
  state_unavailable: ["The service cannot write", OPERATOR],
  cache_unavailable: ["The service cannot count its calls", OPERATOR],
  database_unavailable: ["The catalog does not answer", OPERATOR],
  busy: ["The service is busy", "Wait a moment."],
  worker_lost: ["The fetch was lost", "Whoever runs this service finds more in the worker's log."],
  disabled: ["Turned off", ""],
  not_authenticated: ["Sign in first", "Sign in, then open this page again."],
  forbidden: ["Not allowed", "Ask whoever runs this service for access."],
  too_many_requests: ["Too many requests", "Wait a moment."],
  queue_full: ["The queue is full", "Try again in a few minutes."],
  service_unreachable: ["No answer", "If you run it yourself, look at its terminal."],
  offline: ["Offline", "Try again when the device is connected."],
};

let timers = [];

/** Show nothing over the chart. */
export function showNothing() {
  stopTimers();
  showOnly(null);
}

/** Show that there is nothing to see yet. */
export function showEmpty() {
  stopTimers();
  showOnly("empty");
}

/** Show one overlay. The focus must not be lost with a button that goes. */
function showOnly(wanted) {
  const hadFocus = document.activeElement?.closest(".overlay") ?? null;
  for (const name of ["empty", "busy", "problem"]) element(`overlay-${name}`).hidden = name !== wanted;
  if (hadFocus?.hidden) (wanted === "busy" ? element("busy-stop") : element("chart")).focus({ preventScroll: true });
}

/** Show that bars are on their way, with the seconds since now. */
export function showBusy(name) {
  const started = performance.now();
  stopTimers();
  element("busy-title").textContent = `Loading ${name}`;
  element("busy-step").textContent = "Asking the service.";
  showNotice("");
  element("busy-progress").removeAttribute("value");
  const tick = () => {
    element("busy-seconds").textContent = `${((performance.now() - started) / 1000).toFixed(1)} s`;
  };
  tick();
  timers.push(setInterval(tick, TICK_MS));
  timers.push(setTimeout(() => showOnly("busy"), BUSY_AFTER_MS));
}

/** Show what keeps a fetch from getting on, such as that no worker runs; nothing for an empty sentence. */
function showNotice(sentence = "") {
  element("busy-notice").textContent = sentence;
  element("busy-notice").hidden = !sentence;
}

/** Show how a fetch gets on; returns the sentence. */
export function showProgress(fetched) {
  const sentence = stepOf(fetched);
  element("busy-step").textContent = sentence;
  showNotice(fetched.notice);
  const bar = element("busy-progress");
  if (fetched.count) [bar.max, bar.value] = [fetched.n_bars, fetched.count];
  else bar.removeAttribute("value");
  return sentence;
}

/**
 * Show what went wrong; "Try again" only where that can help. Where bars are still drawn, which
 * `kept` names, it stands above them and offers a way back to them; else it takes their place.
 */
export function showProblem(problem, { kept = "" } = {}) {
  stopTimers();
  const [title, step] = WORDS[problem.code] ?? [problem.title || "Something went wrong", ""];
  element("problem-title").textContent = title;
  element("problem-detail").textContent = problem.message;
  element("problem-step").textContent = step;
  element("problem-step").hidden = !step;
  element("problem-code").textContent = problem.code;
  const retry = element("problem-retry");
  retry.hidden = !problem.isRetryable;
  if (problem.isRetryable) holdBack(retry, problem.retryAfterS);
  element("problem-back").hidden = element("problem-kept").hidden = !kept;
  element("problem-kept").textContent = `The chart still shows ${kept}.`;
  element("overlay-problem").classList.toggle("is-above", kept !== "");
  showOnly("problem");
}

function holdBack(button, seconds) {
  const until = performance.now() + seconds * 1000;
  const tick = () => {
    const left = Math.ceil((until - performance.now()) / 1000);
    button.disabled = left > 0;
    button.textContent = left > 0 ? `Try again in ${left} s` : "Try again";
  };
  tick();
  if (button.disabled) timers.push(setInterval(tick, TICK_MS));
}

function stepOf({ state, attempts, count, n_bars, fetched_ms: fetchedMs, ahead, next_attempt_at: next, allowed_at: allowed, error }) {
  if (state === "running" && allowed) {
    return `Waiting for its turn to call TradingView: about ${secondsUntil(allowed)} s.`;
  }
  if (state === "running") {
    // Only then it is known how long the fetching took.
    if (fetchedMs) return `Storing ${wholeNumber(count)} bars.`;
    const again = attempts > 1 ? ` (attempt ${attempts})` : "";
    return count ? `Received ${wholeNumber(count)} of ${wholeNumber(n_bars)} bars${again}.` : `Fetching from the feed${again}.`;
  }
  if (error && next) {
    return `${error.detail} Trying again in ${secondsUntil(next)} s.`;
  }
  return ahead ? `Queued: ${ahead} ${ahead === 1 ? "fetch is" : "fetches are"} before it.` : "Queued: next in line.";
}

function secondsUntil(moment) {
  return Math.max(0, Math.round((Date.parse(moment) - Date.now()) / 1000));
}

function stopTimers() {
  // One number space for both kinds, says the standard.
  for (const timer of timers) clearTimeout(timer);
  timers = [];
}
