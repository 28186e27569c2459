// Price alerts beside the chart: their list, a form for a new one, lines at their prices, and a message when one triggers.

import { nameOf } from "../bars/chart-state.js";
import { labelOf } from "../bars/timeframes.js";
import { changeKept, isAbort, loadKept } from "../shared/api.js";
import { keep, recall } from "../shared/memory.js";
import { exactNumber, inSteps } from "../shared/numbers.js";
import { utcMinute } from "../shared/times.js";
import { AlertLines } from "./lines.js";

const REFRESH_MS = 30_000;
const MOST_ALERTS = 200;
const SAME = ["symbol", "exchange", "session", "adjustment"];
const SIGNS = { above: ">", below: "<", crosses: "×" };
const element = (name) => document.getElementById(name);

/** Shows the panel; `onChoose` gets `{symbol, exchange}` of the alert that the reader chooses, `say` text for a screen reader. */
export class AlertPanel {
  /** The lines of the alerts on the series that is drawn. */
  lines = new AlertLines();
  #chart;
  #panel = element("alerts");
  #button = element("alerts-open");
  #form = element("alerts-form");
  #rows = element("alerts-rows");
  #url = this.#panel.dataset.alertsUrl;
  #csrfToken;
  #onChoose;
  #say;
  #alerts = null; // as of the last request; null before the first one
  #triggeredAt = null; // of the newest trigger that the service has told
  #isUnread = false; // whether the problem in the panel is that the alerts could not be read
  #timer = null;

  constructor(chart, { csrfToken, onChoose, say }) {
    [this.#chart, this.#csrfToken, this.#onChoose, this.#say] = [chart, csrfToken, onChoose, say];
    chart.addLayer(this.lines);
    this.#button.addEventListener("click", () => this.toggle());
    this.#form.addEventListener("submit", (event) => [event.preventDefault(), this.#add()]);
    this.#rows.addEventListener("click", ({ target }) => this.#act(target.closest("button")));
    element("alert-messages").addEventListener("click", ({ target }) => target.closest("button")?.parentElement.remove());
    document.addEventListener("visibilitychange", () => this.#isOpen() && !document.hidden && this.#refresh());
    if (recall("alerts-open", false)) this.toggle();
  }

  /** Open the panel, or close it. */
  toggle() {
    this.#panel.hidden = !this.#panel.hidden;
    this.#button.setAttribute("aria-pressed", String(this.#isOpen()));
    keep("alerts-open", this.#isOpen());
    clearTimeout(this.#timer);
    if (!this.#isOpen()) return;
    if (this.#chart.shown) this.#offer(this.#chart.shown.bars.close.at(-1));
    this.#refresh();
  }

  /** Take a click on the chart at `price`, or outside of the prices (null): the open panel offers this price. */
  take(price) {
    if (this.#isOpen()) this.#offer(price);
  }

  /** Follow the series that is drawn: its alerts are lines of the chart. */
  mark() {
    const { shown } = this.#chart;
    this.#form.elements.price.value = "";
    this.#offer(shown.bars.close.at(-1));
    if (this.#alerts) this.#drawLines();
    else this.#refresh();
  }

  /** Set the price of the alert `id`; the panel shows the reason where the service refuses it. */
  async move(id, price) {
    const alert = this.#alerts.find((one) => one.id === id);
    if (await this.#change(`${this.#url}/${id}`, { method: "PATCH", body: { price } })) this.#say(`Alert on ${nameOf(alert)}: ${alert.condition} ${exactNumber(price)}.`);
    else if (!this.#isOpen()) this.toggle();
  }

  /** Note when any alert of the service triggered last; a change is an occasion to load the reader's own alerts. */
  notice(triggeredAt) {
    if (triggeredAt === this.#triggeredAt) return;
    this.#triggeredAt = triggeredAt;
    this.#refresh();
  }

  #isOpen() {
    return !this.#panel.hidden;
  }

  #offer(price) {
    if (price === undefined || price === null) return;
    const { step } = this.#chart.shown;
    // As the API reads a number, in any language of the page.
    this.#form.elements.price.value = String(inSteps(price, step));
  }

  async #refresh() {
    clearTimeout(this.#timer);
    try {
      const { results } = await loadKept(`${this.#url}?page_size=${MOST_ALERTS}`);
      this.#take(results);
    } catch (error) {
      this.#isUnread = true;
      this.#complain(error);
    }
    this.#timer = setTimeout(() => this.#isOpen() && !document.hidden && this.#refresh(), REFRESH_MS);
  }

  #take(alerts) {
    const before = new Map(this.#alerts?.map(({ id, triggered_at: at }) => [id, at]));
    for (const alert of alerts) if (alert.triggered_at && before.has(alert.id) && before.get(alert.id) !== alert.triggered_at) this.#tell(alert);
    this.#alerts = alerts;
    this.#drawLines();
    const focused = document.activeElement?.closest("#alerts-rows button");
    const [id, action] = [focused?.closest("li").dataset.id, focused?.dataset.action];
    this.#rows.replaceChildren(...alerts.map(row));
    if (id) this.#rows.querySelector(`[data-id="${id}"] [data-action="${action}"]`)?.focus();
    element("alerts-empty").hidden = alerts.length > 0;
    // The reason of a refused change stays.
    if (this.#isUnread) element("alerts-problem").hidden = true;
    this.#isUnread = false;
  }

  #drawLines() {
    const { shown } = this.#chart;
    const isDrawn = (alert) => alert.state === "active" && SAME.every((name) => alert[name] === shown?.[name]);
    // A reader can change every alert that the service lists to this reader.
    this.lines.set((this.#alerts ?? []).filter(isDrawn).map((alert) => ({ id: alert.id, price: alert.price, title: `${SIGNS[alert.condition]} ${labelOf(alert.timeframe)}` })));
  }

  #tell(alert) {
    const message = document.createElement("p");
    message.className = "alert-message";
    message.append(`${nameOf(alert)} ${alert.condition} ${exactNumber(alert.price)}: ${exactNumber(alert.triggered_price)} at ${utcMinute(Date.parse(alert.triggered_at) / 1000)} UTC${alert.note ? `. ${alert.note}` : ""} `);
    message.append(button("Close", "close", `Close the message about ${nameOf(alert)}`));
    element("alert-messages").append(message);
  }

  async #add() {
    const { shown } = this.#chart;
    const { price, condition, bars, repeats, note } = this.#form.elements;
    if (!shown) return this.#complain(new Error("Draw a symbol first; the alert is made on its bars."));
    const { symbol, exchange, session, adjustment } = shown;
    const body = {
      symbol, exchange, session, adjustment, timeframe: shown.madeFrom || shown.timeframe,
      price: price.value, condition: condition.value, bars: bars.value, repeats: repeats.checked, note: note.value,
    };
    if (await this.#change(this.#url, { method: "POST", body })) note.value = "";
  }

  #act(control) {
    if (!control) return;
    const alert = this.#alerts.find(({ id }) => String(id) === control.closest("li").dataset.id);
    const address = `${this.#url}/${alert.id}`;
    const { action } = control.dataset;
    if (action === "open") this.#onChoose(alert);
    else if (action === "delete") this.#change(address, { method: "DELETE" });
    else this.#change(address, { method: "PATCH", body: { state: action } });
  }

  /** Send a change, and show the alerts as they are then; resolves to whether the service has accepted it. */
  async #change(url, request) {
    try {
      const changed = await changeKept(url, { ...request, csrfToken: this.#csrfToken });
      // Right also if the alerts cannot be read now.
      this.#alerts = this.#alerts?.map((alert) => (alert.id === changed?.id ? changed : alert)) ?? null;
      this.#drawLines();
    } catch (error) {
      this.#complain(error);
      return false;
    }
    element("alerts-problem").hidden = true;
    await this.#refresh();
    return true;
  }

  #complain(error) {
    if (isAbort(error)) return;
    element("alerts-problem").hidden = false;
    element("alerts-problem").textContent = error.errors ? Object.values(error.errors).flat().join(" ") : error.message;
  }
}

function row(alert) {
  const node = document.createElement("li");
  const { id, condition, state, bars, repeats, note } = alert;
  const price = exactNumber(alert.price);
  node.dataset.id = id;
  node.className = `alert-row is-${state}`;
  const about = [bars === "forming" ? "forming bar" : "closed bars", repeats && "every bar", note].filter(Boolean).join(" · ");
  const what = text("p", "alert-what", ` ${condition} ${price}`);
  what.prepend(button(nameOf(alert), "open", `Draw ${nameOf(alert)}`, "link-button"));
  const actions = text("p", "alert-actions", "");
  if (state === "active") actions.append(button("Pause", "paused", `Pause the alert on ${nameOf(alert)} at ${price}`));
  else actions.append(button("Arm again", "active", `Arm again the alert on ${nameOf(alert)} at ${price}`));
  actions.append(button("Delete", "delete", `Delete the alert on ${nameOf(alert)} at ${price}`));
  node.append(what, text("p", "muted", about), text("p", "alert-state", stateOf(alert)), actions);
  return node;
}

/** Return the state of an alert in words. */
function stateOf({ state, pause_reason: reason, triggered_at: at, triggered_price: price, is_followed: isFollowed }) {
  const last = at ? `${state === "active" ? "Last triggered" : "Triggered"} at ${utcMinute(Date.parse(at) / 1000)} UTC by ${exactNumber(price)}.` : "";
  if (state === "paused") return ["Paused.", reason, last].filter(Boolean).join(" ");
  if (state === "triggered") return last;
  const waits = isFollowed ? "" : "The service gets no new bars of it by itself: add it to a watchlist.";
  return ["Active.", last, waits].filter(Boolean).join(" ");
}

function button(label, action, name, className = "button button-small") {
  const node = text("button", className, label);
  [node.type, node.dataset.action] = ["button", action];
  node.setAttribute("aria-label", name);
  return node;
}

function text(tag, className, content) {
  const node = document.createElement(tag);
  [node.className, node.textContent] = [className, content];
  return node;
}
