// The fetch form: its values, and its invalid fields.

import { labelOf } from "../bars/timeframes.js";
import { recall } from "../shared/memory.js";
import { SERIES_DEFAULTS } from "../shared/parameters.js";
import { splitSymbol } from "../symbols/names.js";

const form = document.getElementById("fetch-form");
// A link may have a time of the day, which a field for dates cannot show.
const IS_DATE = /^(\d{4}-\d{2}-\d{2})?$/;
const dot = document.querySelector("#options-open .dot");

/** Return the values of the form, by the names of the API's parameters. */
export function readForm() {
  const data = Object.fromEntries(new FormData(form));
  const [exchange, symbol] = splitSymbol(data.symbol, data.exchange);
  // A disabled field is not among the data: a range has no number of bars.
  const { n_bars: nBars } = form.elements;
  return { ...data, symbol, exchange, n_bars: nBars.value.trim(), start: data.start.trim(), end: data.end.trim() };
}

/** Fill the form with `series`; missing values are the last choice, or the default. */
export function fillForm(series) {
  const wanted = { ...SERIES_DEFAULTS, n_bars: String(Math.min(SERIES_DEFAULTS.n_bars, form.dataset.maxBars)), ...recall("series", {}), ...series };
  for (const name of ["start", "end"]) form.elements[name].type = IS_DATE.test(wanted[name]) ? "date" : "text";
  for (const name of Object.keys(SERIES_DEFAULTS)) form.elements[name].value = wanted[name];
  form.elements.symbol.dataset.shown = wanted.symbol;
  showChosen();
  showOptions();
}

/** Add a button for a timeframe that the row does not have, such as `7` in a link. */
export function offerTimeframe(value) {
  const buttons = [...form.elements.timeframe];
  if (buttons.some((button) => button.value === value)) return;
  const added = buttons.at(-1).parentElement.cloneNode(true);
  const [button, text] = added.children;
  added.title = text.textContent = labelOf(value);
  button.setAttribute("aria-label", labelOf(value));
  button.value = value;
  buttons.at(-1).parentElement.after(added);
}

/** Choose a timeframe, also one without a button. */
export function chooseTimeframe(value) {
  offerTimeframe(value);
  form.elements.timeframe.value = value;
  showChosen();
}

/** Mark the fields that the API has refused, and unmark all others. */
export function markFields(names) {
  for (const name of Object.keys(SERIES_DEFAULTS)) {
    const control = form.elements[name];
    if (control instanceof RadioNodeList) continue;
    if (names.includes(name)) control.setAttribute("aria-invalid", "true");
    else control.removeAttribute("aria-invalid");
  }
  const first = names.map((name) => form.elements[name]).find((control) => control instanceof HTMLElement);
  first?.focus();
}

/** Choose the next longer (1) or shorter (-1) timeframe; returns whether there was one. */
export function stepTimeframe(step) {
  const buttons = [...form.elements.timeframe];
  const next = buttons[buttons.findIndex(({ checked }) => checked) + step];
  if (next) next.checked = true;
  return Boolean(next);
}

/** Call `onSubmit` when the form is sent, and when a timeframe is clicked. */
export function watchForm(onSubmit) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    document.getElementById("options").hidePopover();
    onSubmit();
  });
  form.querySelector(".field-timeframe").addEventListener("click", ({ target, detail }) => {
    // A mouse click submits at once. Arrow keys pass over several timeframes, and each would cost a
    // call to TradingView, so the keyboard submits with Enter.
    if (target.name === "timeframe" && detail > 0 && hasSymbol()) onSubmit();
  });
  form.addEventListener("change", showOptions);
}

/** Whether the form names a symbol. */
export function hasSymbol() {
  return form.elements.symbol.value.trim() !== "";
}

/** Whether another symbol has been typed since the form was filled. */
export function isTyping() {
  const { symbol } = form.elements;
  return document.activeElement === symbol && symbol.value !== symbol.dataset.shown;
}

/** Scroll to the chosen timeframe, where the row is wider than the window. */
function showChosen() {
  const chosen = form.querySelector("[name=timeframe]:checked")?.parentElement;
  if (!chosen) return;
  const row = chosen.parentElement;
  row.scrollLeft = chosen.offsetLeft - (row.clientWidth - chosen.offsetWidth) / 2;
}

function showOptions() {
  const isUsual = ["session", "adjustment"].every((name) => form.elements[name].value === SERIES_DEFAULTS[name]);
  dot.hidden = isUsual;
  form.elements.n_bars.disabled = form.elements.start.value !== "" || form.elements.end.value !== "";
}
