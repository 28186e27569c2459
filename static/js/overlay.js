// What lies over the chart: nothing yet, on its way, or what went wrong.

import { wholeNumber } from "./numbers.js";

// A quick answer should not flash.
const BUSY_AFTER_MS = 200;
const TICK_MS = 100;
const element = (name) => document.getElementById(name);

// What to do next, for each stable code. The sentence itself is the API's.
const NEXT_STEP = {
  invalid_request: "Change the marked field and press Enter.",
  symbol_not_found: "Check the spelling and the exchange, or pick one from the search box.",
  no_data: "Try another timeframe, or another exchange that lists the same symbol.",
  not_permitted: "The account that fetches may not see it. Another account, or another exchange, can.",
  timeframe_unavailable: "Choose another timeframe.",
  auth_failed: "Whoever runs this service has to correct the user name or password.",
  auth_captcha: "Whoever runs this service has to sign in with a browser's session instead.",
  auth_two_factor: "Whoever runs this service has to sign in with a browser's session instead.",
  auth_expired: "Whoever runs this service has to renew the session or token.",
  rate_limited: "All fetches pause for a while. Bars that are kept already still open.",
  feed_timeout: "Nothing was stored. Trying again often helps.",
  feed_unreachable: "Nothing was stored. Bars that are kept already still open.",
  feed_closed: "Nothing was stored. Trying again often helps.",
  feed_protocol: "Whoever runs this service finds the details in the log.",
  bad_bars: "The reply is kept for whoever runs this service; nothing was stored.",
  store_failed: "Whoever runs this service has to look at the disk.",
  worker_lost: "Whoever runs this service finds the reason in the worker's log.",
  disabled: "Whoever runs this service has turned it off for now.",
  not_authenticated: "Sign in, then open this page again.",
  forbidden: "Ask whoever runs this service for access.",
  too_many_requests: "Wait a moment.",
  service_unreachable: "If you run it yourself, look at the terminal.",
};

let timers = [];

/** Show nothing over the chart. */
export function showNothing() {
  stopTimers();
  for (const name of ["empty", "busy", "problem"]) element(`overlay-${name}`).hidden = true;
}

/** Show that there is nothing to see yet. */
export function showEmpty() {
  showNothing();
  element("overlay-empty").hidden = false;
}

/** Show that bars are on their way, with the seconds since now. */
export function showBusy(name) {
  const started = performance.now();
  stopTimers();
  element("busy-title").textContent = `Loading ${name}`;
  element("busy-step").textContent = "Asking the service.";
  element("busy-progress").removeAttribute("value");
  const tick = () => {
    element("busy-seconds").textContent = `${((performance.now() - started) / 1000).toFixed(1)} s`;
  };
  tick();
  timers.push(setInterval(tick, TICK_MS));
  timers.push(setTimeout(() => {
    element("overlay-empty").hidden = element("overlay-problem").hidden = true;
    element("overlay-busy").hidden = false;
  }, BUSY_AFTER_MS));
}

/** Show how a fetch gets on; returns the sentence. */
export function showProgress(fetched) {
  const sentence = stepOf(fetched);
  element("busy-step").textContent = sentence;
  const bar = element("busy-progress");
  if (fetched.count) [bar.max, bar.value] = [fetched.n_bars, fetched.count];
  else bar.removeAttribute("value");
  return sentence;
}

/** Show what went wrong; "Try again" only where that can help. */
export function showProblem(problem) {
  showNothing();
  element("problem-title").textContent = problem.title || "Something went wrong";
  element("problem-detail").textContent = problem.message;
  element("problem-step").textContent = NEXT_STEP[problem.code] ?? "";
  element("problem-code").textContent = problem.code;
  const retry = element("problem-retry");
  retry.hidden = !problem.isRetryable;
  if (problem.isRetryable) holdBack(retry, problem.retryAfterS);
  element("overlay-problem").hidden = false;
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

function stepOf({ state, attempts, count, n_bars, ahead, next_attempt_at: next, error }) {
  if (state === "running") {
    const again = attempts > 1 ? ` (attempt ${attempts})` : "";
    return count ? `Received ${wholeNumber(count)} of ${wholeNumber(n_bars)} bars${again}.` : `Fetching from the feed${again}.`;
  }
  if (error && next) {
    const seconds = Math.max(0, Math.round((Date.parse(next) - Date.now()) / 1000));
    return `${error.detail} Trying again in ${seconds} s.`;
  }
  return ahead ? `Queued: ${ahead} ${ahead === 1 ? "fetch is" : "fetches are"} before it.` : "Queued: next in line.";
}

function stopTimers() {
  // One number space for both kinds, says the standard.
  for (const timer of timers) clearTimeout(timer);
  timers = [];
}
