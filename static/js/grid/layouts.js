// The menu of layouts: the number of charts, the link of the layout, and the layouts that the user has saved.

import { changeKept, loadKept } from "../shared/api.js";
import { formatGrid } from "./address.js";

const MOST_LAYOUTS = 100;
const element = (name) => document.getElementById(name);

/** Works the menu; `layout` returns the present `{charts, isSameSymbol, isSameTimeframe, current}` as in `grid/address.js`. */
export class LayoutMenu {
  #menu = element("layouts");
  #rows = element("layout-rows"); // null for a reader who has not signed in
  #form = element("layout-form");
  #layout;
  #renamed = null; // the layout that gets a new name

  constructor({ layout }) {
    this.#layout = layout;
    this.#menu.addEventListener("toggle", ({ newState }) => newState === "open" && this.#opened());
    this.#rows?.addEventListener("click", ({ target }) => target.dataset.action && this.#act(target));
    this.#form?.addEventListener("submit", (event) => [event.preventDefault(), this.#save()]);
  }

  /** Let the links of the numbers lead to a page with that number of charts, unless `show` has shown it here and returns true. */
  watchNumbers(show = () => false) {
    const numbers = element("layout-numbers");
    const fill = () => {
      for (const link of numbers.querySelectorAll("a")) link.href = this.#addressOf(this.#resized(Number(link.dataset.charts)));
    };
    // Before a click, a tap and Enter; so the links also open in other tabs.
    for (const name of ["pointerenter", "focusin", "touchstart"]) numbers.addEventListener(name, fill, { passive: true });
    numbers.addEventListener("click", (event) => {
      const { charts } = event.target.dataset;
      fill();
      if (charts && !event.ctrlKey && !event.metaKey && show(Number(charts))) event.preventDefault();
    });
  }

  /** Return the present layout with another number of charts; the current chart is kept. */
  #resized(number) {
    const { charts, current = 0, ...links } = this.#layout();
    if (number === 1) return { charts: [charts[current]], ...links };
    return { charts: Array.from({ length: number }, (_, n) => charts[n] ?? ""), ...links };
  }

  #addressOf(layout) {
    const { charts } = layout;
    const { chartPage, gridPage } = this.#menu.dataset;
    if (charts.length > 1) return gridPage + formatGrid(layout);
    return charts[0] ? `${chartPage}?${charts[0]}` : chartPage;
  }

  #opened() {
    const address = this.#addressOf(this.#layout());
    element("layout-copy").dataset.copy = location.origin + address;
    const signIn = element("layout-sign-in");
    if (signIn) return void (signIn.search = new URLSearchParams({ next: address }));
    this.#name(null);
    this.#refresh();
  }

  async #refresh() {
    await this.#attempt(async () => {
      const { results } = await loadKept(`${this.#menu.dataset.url}?page_size=${MOST_LAYOUTS}`);
      this.#rows.replaceChildren(...results.map(row));
      element("layout-empty").hidden = results.length > 0;
    });
  }

  /** Save the form: a new layout, or the new name of one. */
  async #save() {
    const name = this.#form.elements.name.value;
    const isDone = await (this.#renamed ? this.#change("PATCH", this.#renamed, { name }) : this.#change("POST", "", { name, ...this.#body() }));
    if (isDone) this.#name(null);
  }

  async #act({ dataset: { action, id, name } }) {
    if (action === "rename") this.#name({ id, name });
    else if (action === "replace" && confirm(`Replace the charts of “${name}” by the charts of this page?`)) await this.#change("PATCH", id, this.#body());
    else if (action === "delete" && confirm(`Delete the layout “${name}”?`)) await this.#change("DELETE", id);
  }

  /** Prepare the form for a new name of `layout`, or for a new layout (null). */
  #name(layout) {
    const { name, save } = this.#form.elements;
    this.#renamed = layout?.id ?? null;
    name.value = layout?.name ?? "";
    element("layout-name-label").textContent = layout ? `New name of “${layout.name}”` : "Save these charts as";
    save.textContent = layout ? "Rename" : "Save";
    if (layout) name.select();
  }

  #body() {
    const { charts, isSameSymbol, isSameTimeframe } = this.#layout();
    return { charts, same_symbol: isSameSymbol, same_timeframe: isSameTimeframe };
  }

  /** Send a change of the layout `id`; resolves to whether it was made. */
  async #change(method, id, body) {
    const { url, csrfToken } = this.#menu.dataset;
    const isDone = await this.#attempt(() => changeKept(id ? `${url}/${id}` : url, { method, body, csrfToken }));
    if (isDone) await this.#refresh();
    return isDone;
  }

  async #attempt(step) {
    const problem = element("layout-problem");
    try {
      await step();
      problem.hidden = true;
    } catch (error) {
      if (!("code" in error)) throw error;
      [problem.hidden, problem.textContent] = [false, error.message];
    }
    return problem.hidden;
  }
}

function row({ id, name, charts, address }) {
  const node = document.createElement("li");
  const link = document.createElement("a");
  [link.href, link.textContent] = [address, name];
  const count = document.createElement("span");
  [count.className, count.textContent] = ["muted", charts.length === 1 ? "1 chart" : `${charts.length} charts`];
  node.append(link, count, button("Replace", { id, name }), button("Rename", { id, name }), button("Delete", { id, name }));
  return node;
}

function button(label, { id, name }) {
  const node = document.createElement("button");
  [node.type, node.className, node.textContent] = ["button", "button button-small", label];
  Object.assign(node.dataset, { action: label.toLowerCase(), id, name });
  node.setAttribute("aria-label", `${label} ${name}`);
  return node;
}
