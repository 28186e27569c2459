// Finds symbols with few calls: an answer that is known, or that follows from one, costs none.

import { findSymbols } from "./api.js";
import { canonicalName } from "./address.js";

// Codes of refusals that pass, and how long to wait where none says for how long.
const REFUSED = ["rate_limited", "too_many_requests"];
const USUAL_PAUSE_S = 5;

/** Finds symbols through the API at `url`; one for all boxes of a page. */
export class SymbolFinder {
  #url;
  #answers = new Map(); // spelled query → `{symbols, isAll}`
  #pending = Promise.resolve(); // the search on its way
  #refusal = null; // what was said to the last one, and until when asking again cannot help

  constructor(url) {
    this.#url = url;
  }

  /** Resolve to the matches of `query`, best first, on any exchange where `exchange` is "". */
  async find(query, { exchange = "", signal }) {
    const known = this.#known(query, exchange);
    if (known) return known;
    // One at a time: what is typed meanwhile makes those between the first and the last needless.
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
      // While the search is paused, the reply holds only the symbols that the service keeps bars of.
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

  /** Return the matches without asking; null where they are not known. */
  #known(query, exchange) {
    const exact = this.#answers.get(spelled(query, exchange));
    if (exact) return exact.symbols;
    for (let length = query.length - 1; length > 0; length--) {
      const shorter = this.#answers.get(spelled(query.slice(0, length), exchange));
      const found = shorter?.isAll ? shorter.symbols.filter((match) => holds(match, query)) : [];
      // Where none is left, the search may still know another name of something.
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

/** Order by how well the symbol fits; the order among equals stays. */
function bestFirst(matches, query) {
  const wanted = canonicalName(query);
  const rank = ({ symbol }) => (symbol === wanted ? 0 : symbol.startsWith(wanted) ? 1 : symbol.includes(wanted) ? 2 : 3);
  return matches.toSorted((one, other) => rank(one) - rank(other));
}
