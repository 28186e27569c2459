// Client of the API. Every failure is a `Problem` with a sentence for the user.

import { queryOf } from "./parameters.js";

// Most fetches end within this time. A slower fetch is polled after it, so that its progress is shown.
const FIRST_WAIT_S = 1.5;
const POLL_MS = 400;
const SLOW_POLL_MS = 1000;
// Characters of up to three bytes; the limit of the browsers is 64 KB for all requests together.
const MOST_KEPT_ALIVE = 16_000;
const HEADERS = { Accept: "application/json", "X-Requested-By": "page" };

/** An error reply (RFC 9457), or no reply at all. */
export class Problem extends Error {
  constructor({ code, detail, title, status, retryable, errors, retryAfterS }) {
    super(detail);
    this.code = code;
    this.title = title;
    this.status = status;
    this.isRetryable = retryable === true;
    this.errors = errors;
    this.fields = Object.keys(errors ?? {});
    // Seconds during which another attempt cannot succeed; 0 where they are not known.
    this.retryAfterS = retryAfterS ?? 0;
  }
}

/** Whether a newer request has replaced the one that failed with `error`. */
export function isAbort(error) {
  return error?.name === "AbortError";
}

/**
 * Load the bars of `query`; the service fetches them first if it has none.
 *
 * `isFresh` replaces the dataset by a new fetch; `maxAgeS` does so only for an older dataset.
 * `onFetch` is called with each new state of the fetch. Resolves to the API's reply in columns,
 * with `isNew` for bars that were just fetched.
 */
export async function loadBars(url, query, { signal, isFresh = false, maxAgeS = null, onFetch }) {
  const address = barsUrl(url, query, { isFresh, maxAgeS, waitS: FIRST_WAIT_S });
  let response = await get(address, signal, {}, takeBegun(address, signal));
  let isNew = false;
  while (response.status === 202) {
    await fetchEnd(response, { signal, onFetch });
    isNew = true;
    // Without `isFresh` and `maxAgeS`: each of them could begin another fetch.
    response = await get(barsUrl(url, query, { waitS: FIRST_WAIT_S }), signal);
  }
  const reply = await read(response);
  // Not `reply.cached`: after a 304 the body is that of an earlier reply.
  const [lagBars, opensAt] = [Number(response.headers.get("Lag-Bars")), response.headers.get("Market-Opens-At")];
  return { ...reply, lagBars, opensAt, isNew: isNew || !/;\s*hit\b/.test(response.headers.get("Cache-Status") ?? "") };
}

let begun = null; // the request of `beginBars` and its address

/** Send the request for the bars of `query`; the next `loadBars` takes the reply, if it needs the same one. */
export function beginBars(url, query) {
  const address = barsUrl(url, query, { waitS: FIRST_WAIT_S });
  const controller = new AbortController();
  const response = fetch(address, { signal: controller.signal, headers: HEADERS }).then(readAhead);
  // `loadBars` reports a failure.
  response.catch(() => null);
  begun = { address, controller, response };
}

/** Read the body before somebody needs it: the page then draws the bars without another turn of the browser. */
function readAhead(response) {
  const body = response.json();
  // `loadBars` reports a failure.
  body.catch(() => null);
  const { ok, status, headers } = response;
  return { ok, status, headers, json: () => body };
}

/** Return the reply of the request that has begun at `address`; null where none has. The request ends with `signal`. */
function takeBegun(address, signal) {
  const request = begun;
  begun = null;
  if (request?.address !== address) return null;
  signal.addEventListener("abort", () => request.controller.abort());
  return request.response;
}

/** Load what the service has at an address of the API; resolves to the reply. */
export async function loadKept(url, signal) {
  return read(await get(url, signal));
}

/** Send a change to an address of the API; resolves to the reply, or to null where it has no body. */
export async function changeKept(url, { method, body, csrfToken }) {
  const headers = { ...HEADERS, "Content-Type": "application/json", "X-CSRFToken": csrfToken };
  const response = await get(url, undefined, { method, headers, body: body && JSON.stringify(body) });
  return response.status === 204 ? null : read(response);
}

/** Load a reply that has a version; resolves to `{reply, etag}`, with null for the `etag` where nothing is kept. */
export async function loadVersion(url, signal) {
  const response = await get(url, signal, { cache: "no-store" });
  return { reply: await read(response), etag: response.headers.get("ETag") };
}

/** Replace the version `etag` of what is kept at an address (null: nothing yet); resolves to the new `etag`. */
export async function replaceVersion(url, { etag, body, csrfToken, signal }) {
  const known = etag ? { "If-Match": etag } : { "If-None-Match": "*" };
  const headers = { ...HEADERS, ...known, "Content-Type": "application/json", "X-CSRFToken": csrfToken };
  const text = JSON.stringify(body);
  // The browser sends the request although its page is being closed; it does so for short bodies only.
  const response = await get(url, signal, { method: "PUT", headers, body: text, keepalive: text.length < MOST_KEPT_ALIVE });
  return response.headers.get("ETag");
}

/** Return the address of the bars of `query`. */
export function barsUrl(url, query, { isFresh = false, maxAgeS = null, waitS = null, format = "columns" } = {}) {
  const parameters = new URLSearchParams({ ...queryOf(query), format });
  if (isFresh) parameters.set("use_cache", "false");
  if (maxAgeS !== null) parameters.set("max_age", maxAgeS);
  if (waitS !== null) parameters.set("wait", waitS);
  return `${url}?${parameters}`;
}

/** Cancel a queued fetch. A fetch that has begun continues, and its bars are stored. */
export function cancelFetch(address, csrfToken) {
  const headers = { ...HEADERS, "X-CSRFToken": csrfToken };
  // The page shows no answer to this request, so a failure is ignored.
  return fetch(address, { method: "DELETE", headers }).catch(() => null);
}

/** Search symbols; resolves to the API's reply. */
export async function findSymbols(url, query) {
  return read(await get(`${url}?${new URLSearchParams(query)}`));
}

/** Load the state of the service; resolves to the API's reply. */
export async function loadStatus(url) {
  return read(await get(url));
}

async function fetchEnd(response, { signal, onFetch }) {
  const address = response.headers.get("Location");
  let fetched = await read(response);
  const started = performance.now();
  while (fetched.state === "queued" || fetched.state === "running") {
    onFetch?.(fetched, address);
    await pause(performance.now() - started < 10_000 ? POLL_MS : SLOW_POLL_MS, signal);
    fetched = await read(await get(address, signal));
  }
  if (fetched.state !== "succeeded") throw failureOf(fetched);
}

function failureOf({ state, error }) {
  if (state === "cancelled") {
    return new Problem({ code: "cancelled", title: "Fetch cancelled", detail: "The fetch was cancelled before it began.", retryable: true });
  }
  return new Problem({ title: "Fetch failed", ...error });
}

/** Return the reply to a request; `begun` is the reply of one that has been sent already. */
async function get(url, signal, options = {}, begun = null) {
  const response = await attempt(() => begun ?? fetch(url, { signal, headers: HEADERS, ...options }));
  if (response.ok) return response;
  const problem = await response.json().catch(() => ({}));
  throw new Problem({
    code: `http_${response.status}`,
    title: "Something went wrong",
    detail: `The service answered with HTTP ${response.status} and without a reason.`,
    retryable: response.status >= 502,
    status: response.status,
    retryAfterS: Number(response.headers.get("Retry-After")) || 0,
    ...problem,
  });
}

function read(response) {
  return attempt(() => response.json());
}

async function attempt(step) {
  try {
    return await step();
  } catch (error) {
    if (isAbort(error)) throw error;
    throw lost();
  }
}

/** Return the problem of a request that got no complete answer. */
function lost() {
  if (!navigator.onLine) {
    return new Problem({ code: "offline", title: "Offline", detail: "This device has no connection to a network, so the service got no request.", retryable: true });
  }
  return new Problem({
    code: "service_unreachable",
    title: "No answer",
    detail: "This service does not answer. It may be restarting, or the connection is down.",
    retryable: true,
  });
}

function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(new DOMException("A newer request replaced this one.", "AbortError"));
    }, { once: true });
  });
}
