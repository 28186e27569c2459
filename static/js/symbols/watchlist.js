// The panel beside the chart: the symbols of a watchlist with their last prices, or the symbols drawn last.

import { pricesOf } from "../bars/bars.js";
import { isAbort, loadKept } from "../shared/api.js";
import { keep, recall, recentSymbols } from "../shared/memory.js";
import { percent, signed } from "../shared/numbers.js";

const REFRESH_MS = 30_000;
const MOST_SYMBOLS = 200;
const MOST_LISTS = 100;
const RECENT = "recent";
const element = (name) => document.getElementById(name);

/** Shows the panel; `onChoose` gets `{symbol, exchange}` of the row that the reader chooses. */
export class WatchPanel {
  #panel = element("watching");
  #button = element("watching-open");
  #choice = element("watching-list");
  #rows = element("watching-rows");
  #url = this.#panel.dataset.listsUrl;
  #onChoose;
  #request = new AbortController();
  #timer = null;
  #drawn = { symbol: "", exchange: "", timeframe: "" };

  constructor({ onChoose }) {
    this.#onChoose = onChoose;
    this.#button.addEventListener("click", () => this.toggle());
    this.#choice.addEventListener("change", () => [keep("watching", this.#choice.value), this.#refresh()]);
    this.#rows.addEventListener("click", ({ target }) => this.#choose(target.closest("[role=option]")));
    this.#rows.addEventListener("keydown", (event) => this.#moveBy(event));
    document.addEventListener("visibilitychange", () => this.#isOpen() && !document.hidden && this.#refresh());
    // In a frame of the grid there is little room.
    if (recall("watching-open", false) && !document.body.classList.contains("is-framed")) this.toggle();
  }

  /** Open the panel, or close it. */
  toggle() {
    this.#panel.hidden = !this.#panel.hidden;
    this.#button.setAttribute("aria-pressed", String(this.#isOpen()));
    keep("watching-open", this.#isOpen());
    clearTimeout(this.#timer);
    if (this.#isOpen()) this.#open();
  }

  /** Mark the row of the series that is drawn; prices follow its timeframe where the list has it. */
  mark({ symbol, exchange, timeframe }) {
    const isOther = timeframe !== this.#drawn.timeframe;
    this.#drawn = { symbol, exchange, timeframe };
    // Before the lists are loaded there is nothing to mark; `#open` shows them.
    if (!this.#isOpen() || !this.#choice.length) return;
    this.#markRow();
    if (isOther || this.#choice.value === RECENT) this.#refresh();
  }

  #isOpen() {
    return !this.#panel.hidden;
  }

  async #open() {
    try {
      const { results } = await loadKept(`${this.#url}?page_size=${MOST_LISTS}`);
      const options = results.map(({ id, name, timeframes }) => {
        const option = new Option(name, id);
        option.dataset.timeframes = timeframes.join(" ");
        return option;
      });
      this.#choice.replaceChildren(...options, new Option("Recent symbols", RECENT));
      const wanted = String(recall("watching", ""));
      if ([...this.#choice.options].some(({ value }) => value === wanted)) this.#choice.value = wanted;
      await this.#refresh();
    } catch (error) {
      this.#say(error);
    }
  }

  async #refresh() {
    clearTimeout(this.#timer);
    this.#request.abort();
    this.#request = new AbortController();
    const { signal } = this.#request;
    try {
      const quotes = this.#choice.value === RECENT ? recentSymbols() : await this.#loadQuotes(signal);
      if (!signal.aborted) this.#show(quotes);
    } catch (error) {
      this.#say(error);
    }
    if (signal.aborted || this.#choice.value === RECENT) return;
    this.#timer = setTimeout(() => this.#isOpen() && !document.hidden && this.#refresh(), REFRESH_MS);
  }

  async #loadQuotes(signal) {
    const { value, selectedOptions } = this.#choice;
    const query = new URLSearchParams({ page_size: MOST_SYMBOLS });
    if (selectedOptions[0].dataset.timeframes.split(" ").includes(this.#drawn.timeframe)) query.set("timeframe", this.#drawn.timeframe);
    return (await loadKept(`${this.#url}/${value}/quotes?${query}`, signal)).results;
  }

  #show(quotes) {
    const focused = document.activeElement?.dataset?.name;
    element("watching-empty").hidden = quotes.length > 0;
    element("watching-note").hidden = this.#choice.value === RECENT;
    element("watching-empty").textContent = "No symbols yet.";
    let section = "";
    const nodes = [];
    for (const quote of quotes) {
      if (quote.section && quote.section !== section) nodes.push(heading(quote.section));
      section = quote.section ?? "";
      nodes.push(row(quote));
    }
    this.#rows.replaceChildren(...nodes);
    this.#markRow();
    this.#options().find(({ dataset }) => dataset.name === focused)?.focus();
  }

  #markRow() {
    const { symbol, exchange } = this.#drawn;
    const options = this.#options();
    for (const option of options) {
      const isDrawn = option.dataset.symbol === symbol && option.dataset.exchange === exchange;
      option.setAttribute("aria-selected", String(isDrawn));
      option.tabIndex = isDrawn ? 0 : -1;
    }
    if (options.length && !options.some(({ tabIndex }) => tabIndex === 0)) options[0].tabIndex = 0;
  }

  #moveBy(event) {
    const options = this.#options();
    const at = options.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: options.length - 1 }[event.key];
    if (event.key === "Enter") this.#choose(document.activeElement);
    else if (options[to]) options[to].focus();
    else if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
  }

  #choose(option) {
    if (!option) return;
    option.focus();
    this.#onChoose({ symbol: option.dataset.symbol, exchange: option.dataset.exchange });
  }

  #options() {
    return [...this.#rows.querySelectorAll("[role=option]")];
  }

  #say(error) {
    if (isAbort(error)) return;
    this.#rows.replaceChildren();
    element("watching-empty").hidden = false;
    element("watching-empty").textContent = error.message;
    if (!("code" in error)) throw error;
  }
}

function row({ symbol, exchange, description, close, change, change_percent: share, pricescale, minmov, state, reason }) {
  const node = document.createElement("li");
  node.setAttribute("role", "option");
  const name = exchange ? `${exchange}:${symbol}` : symbol;
  Object.assign(node.dataset, { symbol, exchange: exchange ?? "", name });
  node.title = [name, description, reason].filter(Boolean).join("\n");
  node.append(cell(symbol, "watching-symbol"));
  if (close === undefined) return node;
  if (close === null) node.append(cell("no bars", "muted watching-price"));
  else {
    const { formatPrice } = pricesOf({ pricescale, minmov }, { close: [close], high: [close], low: [close] });
    const tone = change > 0 ? "up" : change < 0 ? "down" : "";
    node.append(cell(formatPrice(close), "number watching-price"));
    node.append(cell(share === null ? "" : signed(share, percent), `number watching-change ${tone}`));
  }
  if (state === "behind" || state === "failing") node.classList.add("is-late");
  return node;
}

function heading(text) {
  const node = cell(text, "watching-section muted");
  node.setAttribute("role", "presentation");
  return node;
}

function cell(text, className) {
  const node = document.createElement(className.startsWith("watching-section") ? "li" : "span");
  [node.textContent, node.className] = [text, className];
  return node;
}
