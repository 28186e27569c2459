// The symbol box: recent symbols, and a search as one types. Without the search it works by hand.

import { splitSymbol } from "./address.js";
import { findSymbols, isAbort } from "./api.js";
import { recentSymbols } from "./memory.js";

const DEBOUNCE_MS = 250;
const MAX_SHOWN = 12;
const MEANT = "Perhaps one of these";
const NOTHING = "Nothing found. Enter asks for it as it is typed.";

/** Makes a text input a combobox over `list`. */
export class SymbolBox {
  #input;
  #list;
  #url;
  #onChoose;
  #say;
  #choices = [];
  #active = -1;
  #timer = null;
  #controller = null;
  #hasSearch = true;

  /** `onChoose` gets the symbol chosen, `say` what somebody who does not see the list should hear. */
  constructor({ input, list, url, onChoose, say }) {
    [this.#input, this.#list, this.#url, this.#onChoose, this.#say] = [input, list, url, onChoose, say];
    input.addEventListener("input", () => this.#typed());
    input.addEventListener("focus", () => input.select());
    input.addEventListener("click", () => this.#typed());
    input.addEventListener("keydown", (event) => this.#keyPressed(event));
    input.addEventListener("blur", () => this.close());
    // Before the input loses the focus, and with it the list.
    list.addEventListener("pointerdown", (event) => this.#pressed(event));
  }

  /** Close the list and forget what was being searched. */
  close() {
    this.#forget();
    this.#show([]);
  }

  /** Show what the search finds for what is in the box: an exchange that is missing, a symbol that was meant. */
  suggest() {
    this.#forget();
    this.#input.focus();
    // On any exchange: the one that was named may be what was wrong.
    if (this.#hasSearch) this.#search(splitSymbol(this.#input.value)[1], MEANT);
  }

  #typed() {
    this.#forget();
    const query = this.#input.value.trim();
    if (!query || query === this.#input.dataset.shown) return this.#show(recentSymbols(), "Recent");
    if (this.#hasSearch) this.#timer = setTimeout(() => this.#search(query), DEBOUNCE_MS);
  }

  #forget() {
    clearTimeout(this.#timer);
    this.#controller?.abort();
  }

  async #search(query, heading = "") {
    this.#controller = new AbortController();
    const [, exchange = "", text = query] = /^([A-Za-z0-9_]+):(.+)$/.exec(query) ?? [];
    try {
      const { signal } = this.#controller;
      const found = await findSymbols(this.#url, { query: text, exchange }, { signal });
      if (!signal.aborted) this.#show(found.slice(0, MAX_SHOWN), found.length || heading ? heading : NOTHING);
    } catch (error) {
      if (isAbort(error)) return;
      // Exchange and symbol by hand is always possible, so the box does not complain.
      this.#hasSearch = error.status !== 404;
      this.#show([]);
    }
  }

  #show(choices, heading = "") {
    [this.#choices, this.#active] = [choices, -1];
    this.#list.replaceChildren(...choices.map((choice, index) => optionOf(choice, this.#idOf(index))));
    this.#list.dataset.heading = heading;
    this.#list.hidden = choices.length === 0 && heading !== NOTHING;
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
      if (this.#active < 0) return this.close();
      event.preventDefault();
      this.#choose(this.#active);
    } else if (event.key === "Escape" && !this.#list.hidden) {
      event.stopPropagation();
      // Else the browser would close the panel that the box may stand in.
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
