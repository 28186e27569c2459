// Symbol search with few calls: answers are remembered, and longer queries filter complete answers.

import { findSymbols } from "../shared/api.js";
import { canonicalName } from "./names.js";

// Codes of temporary refusals, and the pause after a refusal without `Retry-After`.
const REFUSED = ["rate_limited", "too_many_requests"];
const USUAL_PAUSE_S = 5;

/** Finds symbols through the API at `url`; all boxes of a page share one finder. */
export class SymbolFinder {
  #url;
  #answers = new Map(); // spelled query → `{symbols, isAll}`
  #pending = Promise.resolve(); // the running search
  #refusal = null; // the last refusal, and when the next search may begin

  constructor(url) {
    this.#url = url;
  }

  /** Resolve to the matches of `query`, best first; an empty `exchange` means all exchanges. */
  async find(query, { exchange = "", signal }) {
    const known = this.#known(query, exchange);
    if (known) return known;
    // One search at a time: of the searches that wait, only the newest is sent, the others are aborted.
    const before = this.#pending;
    let done;
    this.#pending = new Promise((resolve) => (done = resolve));
    try {
      await before;
      signal.throwIfAborted();
      return this.#known(query, exchange) ?? (await this.#ask(query, exchange));
    } finally {
      done();
    }
  }

  async #ask(query, exchange) {
    this.#throwRefusal();
    try {
      const reply = await findSymbols(this.#url, { query, exchange });
      // While the search is paused, the reply contains only symbols whose bars the service has stored.
      if (!reply.retry_after_s) {
        this.#answers.set(spelled(query, exchange), { symbols: reply.symbols, isAll: reply.has_more === false });
      }
      return reply.symbols;
    } catch (problem) {
      const pauseS = problem.retryAfterS || (REFUSED.includes(problem.code) ? USUAL_PAUSE_S : 0);
      if (pauseS) this.#refusal = { problem, until: performance.now() + pauseS * 1000 };
      this.#throwRefusal();
      throw problem;
    }
  }

  #throwRefusal() {
    const seconds = this.#refusal ? (this.#refusal.until - performance.now()) / 1000 : 0;
    if (seconds > 0) throw Object.assign(this.#refusal.problem, { retryAfterS: seconds });
  }

  /** Return the matches from earlier answers; null where those are not enough. */
  #known(query, exchange) {
    const exact = this.#answers.get(spelled(query, exchange));
    if (exact) return exact.symbols;
    for (let length = query.length - 1; length > 0; length--) {
      const shorter = this.#answers.get(spelled(query.slice(0, length), exchange));
      const found = shorter?.isAll ? shorter.symbols.filter((match) => holds(match, query)) : [];
      // Without a match the service must search: it also compares other names of a symbol.
      if (found.length) return bestFirst(found, query);
    }
    return null;
  }
}

function spelled(query, exchange) {
  return `${canonicalName(exchange)}:${canonicalName(query)}`;
}

function holds({ symbol, description }, query) {
  const wanted = canonicalName(query);
  return [symbol, description ?? ""].some((text) => canonicalName(text).includes(wanted));
}

/** Order by the quality of the match; equal matches keep their order. */
function bestFirst(matches, query) {
  const wanted = canonicalName(query);
  const rank = ({ symbol }) => (symbol === wanted ? 0 : symbol.startsWith(wanted) ? 1 : symbol.includes(wanted) ? 2 : 3);
  return matches.toSorted((one, other) => rank(one) - rank(other));
}
