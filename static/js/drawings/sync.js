// The drawings of a signed-in user, kept by the service: loaded when a symbol is shown, sent after each change.

import { loadVersion, Problem, replaceVersion } from "../shared/api.js";
import { adoptUnsigned, copyOf, isDrawing, keepCopy } from "./kept.js";
import { isSame, merge } from "./merge.js";

const PAUSE_MS = 1000; // changes that follow each other within this time are sent together
const DEADLINE_MS = 20_000; // of one request
const MOST_LOST = 5; // times that another computer was faster
const { user, url, csrfToken } = document.getElementById("drawing-tools").dataset;

/** Keeps the page's drawings and the service's in step; without a signed-in user it does nothing. */
export class Sync {
  #onProblem;
  #shown = "";
  #waiting = new Map(); // symbol → timer of the next sending
  #stale = new Set(); // symbols whose list of the service must be loaded first
  #busy = new Set(); // symbols with a request under way: one at a time for each
  #problems = new Map(); // symbol → why page and service are not in step

  constructor(onProblem) {
    this.#onProblem = onProblem;
    if (!user) return;
    addEventListener("online", () => this.#tryAgain());
    addEventListener("pagehide", () => this.#sendWaiting());
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#sendWaiting() : this.#tryAgain()));
  }

  /** Whether the service keeps the drawings of this page. */
  get isOn() {
    return Boolean(user);
  }

  /** Load the drawings of the symbol shown; an empty name stands for none. */
  open(symbol) {
    this.#shown = symbol;
    if (!user || !symbol) return;
    adoptUnsigned(symbol);
    this.#renew(symbol);
  }

  /** The user has changed drawings of the symbol. */
  note(symbol) {
    if (!user) return;
    clearTimeout(this.#waiting.get(symbol));
    this.#waiting.set(symbol, setTimeout(() => this.#send(symbol), PAUSE_MS));
  }

  /** Return why page and service are not in step for the symbol; empty if they are. */
  problemOf(symbol) {
    return this.#problems.get(symbol) ?? "";
  }

  /** Load the service's list, then send what differs from it. */
  #renew(symbol) {
    this.#stale.add(symbol);
    this.#exchange(symbol);
  }

  #tryAgain() {
    for (const symbol of new Set([this.#shown, ...this.#problems.keys()])) if (symbol) this.#renew(symbol);
  }

  #sendWaiting() {
    for (const symbol of [...this.#waiting.keys()]) this.#send(symbol);
  }

  #send(symbol) {
    clearTimeout(this.#waiting.get(symbol));
    this.#waiting.delete(symbol);
    this.#exchange(symbol);
  }

  async #exchange(symbol) {
    // The exchange that is under way ends only when nothing is left to do.
    if (this.#busy.has(symbol)) return;
    this.#busy.add(symbol);
    try {
      await this.#bringInStep(symbol);
      this.#problems.delete(symbol);
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      this.#problems.set(symbol, inWords(error, symbol));
    } finally {
      this.#busy.delete(symbol);
      this.#onProblem(symbol);
    }
  }

  async #bringInStep(symbol) {
    for (let nLost = 0; nLost < MOST_LOST; ) {
      if (this.#stale.has(symbol)) await this.#load(symbol);
      else if (isInStep(copyOf(symbol)) || this.#waiting.has(symbol)) return;
      else if (!(await this.#replace(symbol))) nLost++;
    }
    throw new Problem({ code: "changed_meanwhile", detail: "They are changed elsewhere again and again." });
  }

  async #load(symbol) {
    const { reply, etag } = await loadVersion(addressOf(symbol), AbortSignal.timeout(DEADLINE_MS));
    // After another sign-in in another tab the request has the credentials of that user.
    if (String(reply.user) !== user) throw new Problem({ code: "forbidden", detail: "Another user has signed in in this browser. Reload the page." });
    if (!reply.drawings.every(isDrawing)) throw new Problem({ code: "invalid_request", detail: "Some are of a newer version of the page. Reload the page." });
    this.#stale.delete(symbol);
    const { base, drawings } = copyOf(symbol);
    keepCopy(symbol, { drawings: merge(base, drawings, reply.drawings), base: reply.drawings, etag });
  }

  /** Send the present list; resolves to false where another computer has sent another one first. */
  async #replace(symbol) {
    const { drawings, etag } = copyOf(symbol);
    try {
      const newTag = await replaceVersion(addressOf(symbol), { etag, csrfToken, body: { drawings }, signal: AbortSignal.timeout(DEADLINE_MS) });
      keepCopy(symbol, { drawings: copyOf(symbol).drawings, base: drawings, etag: newTag });
      return true;
    } catch (error) {
      if (error.code !== "changed_meanwhile") throw error;
      this.#stale.add(symbol);
      return false;
    }
  }
}

/** Return what the failure means for the drawings of the symbol. */
function inWords({ message, status }, symbol) {
  const reason = [401, 403].includes(status) ? `${message} Reload the page.` : message;
  if (isInStep(copyOf(symbol))) return `Your drawings of ${symbol} could not be loaded: ${reason} The page shows those that this browser has.`;
  return `Your newest drawings of ${symbol} are not kept by the service yet: ${reason} They are sent again with the next change, or when the connection returns.`;
}

function isInStep({ drawings, base }) {
  return isSame(drawings, base);
}

function addressOf(symbol) {
  return `${url}?${new URLSearchParams({ symbol })}`;
}
