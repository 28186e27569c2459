// The overlays of the chart: no bars yet, bars being loaded, or a problem.

import { wholeNumber } from "../shared/numbers.js";
import { advice } from "../shared/page-data.js";

// A quick answer should not flash.
const BUSY_AFTER_MS = 200;
const TICK_MS = 100;
const element = (name) => document.getElementById(name);

let timers = [];

/** Hide all overlays. */
export function showNothing() {
  stopTimers();
  showOnly(null);
}

/** Show that no bars are drawn yet. */
export function showEmpty() {
  stopTimers();
  showOnly("empty");
}

/** Show one overlay. If a hidden button had the focus, move the focus. */
function showOnly(wanted) {
  const hadFocus = document.activeElement?.closest(".overlay") ?? null;
  for (const name of ["empty", "busy", "problem"]) element(`overlay-${name}`).hidden = name !== wanted;
  if (hadFocus?.hidden) (wanted === "busy" ? element("busy-stop") : element("chart")).focus({ preventScroll: true });
}

/** Show that bars are being loaded, with the seconds since now. */
export function showBusy(name) {
  const started = performance.now();
  stopTimers();
  element("busy-title").textContent = `Loading ${name}`;
  element("busy-step").textContent = "Waiting for the service.";
  showNotice("");
  element("busy-progress").removeAttribute("value");
  const tick = () => {
    element("busy-seconds").textContent = `${((performance.now() - started) / 1000).toFixed(1)} s`;
  };
  tick();
  timers.push(setInterval(tick, TICK_MS));
  timers.push(setTimeout(() => showOnly("busy"), BUSY_AFTER_MS));
}

/** Show why a fetch does not proceed, such as that no worker runs; hide the notice for an empty sentence. */
function showNotice(sentence = "") {
  element("busy-notice").textContent = sentence;
  element("busy-notice").hidden = !sentence;
}

/** Show the progress of a fetch; returns the sentence. */
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
 * Show a problem; "Try again" only where that can help. If bars are still drawn, `kept` names them:
 * then the problem stands above them with a button that leads back; else it takes their place.
 */
export function showProblem(problem, { kept = "" } = {}) {
  stopTimers();
  const { title, step } = advice[problem.code] ?? { title: problem.title || "Something went wrong", step: "" };
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
    // This field is set when all bars have arrived.
    if (fetchedMs) return `Storing ${wholeNumber(count)} bars.`;
    const again = attempts > 1 ? ` (attempt ${attempts})` : "";
    return count ? `Received ${wholeNumber(count)} of ${wholeNumber(n_bars)} bars${again}.` : `Fetching from the feed${again}.`;
  }
  if (error && next) {
    return `${error.detail} The next attempt begins in ${secondsUntil(next)} s.`;
  }
  return ahead ? `Queued: ${ahead} ${ahead === 1 ? "fetch is" : "fetches are"} before it.` : "Queued: next in line.";
}

function secondsUntil(moment) {
  return Math.max(0, Math.round((Date.parse(moment) - Date.now()) / 1000));
}

function stopTimers() {
  // The standard allows clearTimeout for intervals too.
  for (const timer of timers) clearTimeout(timer);
  timers = [];
}
