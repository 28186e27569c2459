// The symbol box: recent symbols, and a search while the user types. It also works without the search.

import { isAbort } from "../shared/api.js";
import { recentSymbols } from "../shared/memory.js";
import { inTime } from "../shared/numbers.js";
import { lacksExchange, splitSymbol } from "./names.js";

const DEBOUNCE_MS = 250;
const TICK_MS = 1000;
const MAX_SHOWN = 12;
const MEANT = "Did you mean one of these?";
const CHOOSE = "Choose one; Enter takes the first";
const LOOKING = "Searching …";
const BY_HAND = "Or type the exchange too, such as BINANCE:BTCUSDT, and press Enter.";
const NOTHING = `Nothing found. Try another name. ${BY_HAND}`;
const NO_ANSWER = `The search does not answer. ${BY_HAND}`;

/** Makes a text input a combobox over `list`. */
export class SymbolBox {
  #input;
  #list;
  #finder;
  #getExchange;
  #onChoose;
  #onAsTyped;
  #say;
  #choices = [];
  #active = -1;
  #timer = null;
  #controller = null;
  #hasSearch = true;

  /**
   * `onChoose` gets the chosen symbol; `onAsTyped` is called where no symbol was found; `say` gets text
   * for a screen reader; `getExchange` returns the exchange of the field beside the box.
   */
  constructor({ input, list, finder, getExchange = () => "", onChoose, onAsTyped, say }) {
    [this.#input, this.#list, this.#finder, this.#getExchange] = [input, list, finder, getExchange];
    [this.#onChoose, this.#onAsTyped, this.#say] = [onChoose, onAsTyped, say];
    input.addEventListener("input", () => this.#typed());
    input.addEventListener("focus", () => input.select());
    input.addEventListener("click", () => this.#typed());
    input.addEventListener("keydown", (event) => this.#keyPressed(event));
    input.addEventListener("blur", () => this.close());
    // `pointerdown` comes before `blur`, which closes the list.
    list.addEventListener("pointerdown", (event) => this.#pressed(event));
  }

  /** Close the list and abort the search. */
  close() {
    this.#forget();
    this.#show([]);
  }

  /** Search for the text in the box, and offer the matches as corrections. */
  suggest() {
    this.#input.focus();
    // On all exchanges: the given exchange may be wrong.
    this.#search(splitSymbol(this.#input.value)[1], { heading: MEANT });
  }

  /**
   * Find the exchange of the symbol in the box. A single match with exactly this symbol is chosen;
   * else the matches are offered, best first. Without a match `onAsTyped` is called.
   */
  async offer() {
    const symbol = splitSymbol(this.#input.value)[1];
    this.#input.focus();
    this.#show([], LOOKING);
    const found = await this.#search(symbol, { heading: CHOOSE });
    // The user has typed or chosen something newer.
    if (found === null) return;
    const exact = found.filter((match) => match.symbol === symbol);
    if (exact.length === 1) this.#choose(found.indexOf(exact[0]));
    else if (found.length) this.#activate(0);
    else this.#onAsTyped();
  }

  #lacksExchange() {
    const [exchange, symbol] = splitSymbol(this.#input.value, this.#getExchange());
    return lacksExchange({ symbol, exchange });
  }

  #typed() {
    this.#forget();
    const query = this.#input.value.trim();
    if (!query || query === this.#input.dataset.shown) return this.#show(recentSymbols(), "Recent");
    this.#timer = setTimeout(() => this.#search(query), DEBOUNCE_MS);
  }

  #forget() {
    clearTimeout(this.#timer);
    this.#controller?.abort();
  }

  /** Search and show the matches; resolves to the matches, or to null if a newer search replaced this one. */
  async #search(query, { heading = "" } = {}) {
    this.#forget();
    if (!this.#hasSearch) return [];
    const { signal } = (this.#controller = new AbortController());
    const [, exchange = "", text = query] = /^([A-Za-z0-9_]+):(.+)$/.exec(query) ?? [];
    try {
      const found = (await this.#finder.find(text, { exchange, signal })).slice(0, MAX_SHOWN);
      signal.throwIfAborted();
      this.#show(found, found.length ? heading : NOTHING);
      return found;
    } catch (error) {
      if (isAbort(error)) return null;
      if (!("code" in error)) throw error;
      this.#showFailure(error, () => this.#search(query, { heading }));
      return [];
    }
  }

  /** Show why there are no matches, and count down to the next attempt; `again` begins it. */
  #showFailure({ status, retryAfterS }, again) {
    this.#hasSearch = status !== 404;
    if (!this.#hasSearch) return this.#show([]);
    if (!retryAfterS) return this.#show([], NO_ANSWER);
    const until = performance.now() + retryAfterS * 1000;
    const tick = () => {
      const seconds = (until - performance.now()) / 1000;
      if (seconds <= 0) return again();
      this.#list.dataset.heading = paused(seconds);
      this.#timer = setTimeout(tick, TICK_MS);
    };
    this.#show([], paused(retryAfterS));
    this.#timer = setTimeout(tick, TICK_MS);
  }

  #show(choices, heading = "") {
    [this.#choices, this.#active] = [choices, -1];
    this.#list.replaceChildren(...choices.map((choice, index) => optionOf(choice, this.#idOf(index))));
    this.#list.dataset.heading = heading;
    // Without recent symbols the list stays hidden.
    this.#list.hidden = choices.length === 0 && (heading === "" || heading === "Recent");
    this.#input.setAttribute("aria-expanded", String(choices.length > 0));
    this.#input.removeAttribute("aria-activedescendant");
    if (!this.#list.hidden) this.#say(choices.length ? `${choices.length} ${choices.length === 1 ? "symbol" : "symbols"}. ${heading}` : heading);
  }

  #keyPressed(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
      event.preventDefault();
      if (this.#choices.length) this.#activate(this.#active + step);
      else if (step > 0) this.#typed();
    } else if (event.key === "Enter") {
      if (this.#active < 0 && !this.#lacksExchange()) return this.close();
      event.preventDefault();
      if (this.#active < 0) this.offer();
      else this.#choose(this.#active);
    } else if (event.key === "Escape" && !this.#list.hidden) {
      event.stopPropagation();
      // The browser would also close the panel around the box.
      event.preventDefault();
      this.close();
    }
  }

  #activate(wanted) {
    const { length } = this.#choices;
    this.#active = ((wanted % length) + length) % length;
    [...this.#list.children].forEach((option, i) => {
      option.setAttribute("aria-selected", String(i === this.#active));
      if (i === this.#active) option.scrollIntoView({ block: "nearest" });
    });
    this.#input.setAttribute("aria-activedescendant", this.#idOf(this.#active));
  }

  #pressed(event) {
    event.preventDefault();
    const option = event.target.closest("[role=option]");
    if (option) this.#choose([...this.#list.children].indexOf(option));
  }

  #idOf(index) {
    return `${this.#list.id}-${index}`;
  }

  #choose(index) {
    const chosen = this.#choices[index];
    this.close();
    this.#onChoose(chosen);
  }
}

function paused(seconds) {
  return `The search is paused; it continues in ${inTime(seconds)}. ${BY_HAND}`;
}

function optionOf({ symbol, exchange, description, type }, id) {
  const option = document.createElement("li");
  option.id = id;
  option.role = "option";
  option.setAttribute("aria-selected", "false");
  for (const [className, text] of [["option-symbol", symbol], ["option-name", description], ["option-place", [type, exchange].filter(Boolean).join(" · ")]]) {
    const part = document.createElement("span");
    part.className = className;
    part.textContent = text ?? "";
    option.append(part);
  }
  return option;
}
