// The studies in the menu of indicators: one row for each, with its parameters and its colour. This
// module reports the chosen studies; main.js applies them.

import { isValid, MAX_STUDIES, unusedColor } from "./studies.js";

const DAY_S = 86400;
const menu = document.getElementById("studies");
const limit = document.getElementById("study-limit");

/** Reports the chosen studies to `onChange`. `chart` gives the first value of an anchor, `anchors` a clicked bar. */
export class StudyMenu {
  #onChange;
  #chart;
  #anchors;

  constructor({ onChange, chart, anchors }) {
    [this.#onChange, this.#chart, this.#anchors] = [onChange, chart, anchors];
    menu.addEventListener("change", ({ target }) => this.#changed(target));
    menu.addEventListener("click", ({ target }) => this.#clicked(target.closest("button")));
  }

  /** Put each study into the first free row of its kind; a study without a free row gets a row of its own. */
  fill(studies) {
    for (const row of rows()) {
      if (row.dataset.isAdded) row.remove();
      checkbox(row).checked = false;
      paint(row, row.dataset.color);
    }
    const free = rows();
    for (const study of studies) {
      const row = free.find(({ dataset }) => dataset.kind === study.kind) ?? added(rows().findLast(({ dataset }) => dataset.kind === study.kind));
      if (free.includes(row)) free.splice(free.indexOf(row), 1);
      checkbox(row).checked = true;
      inputs(row).forEach((input, i) => write(input, study.parameters[i]));
      paint(row, study.color);
    }
    showLimit();
  }

  #changed(target) {
    const row = rowOf(target);
    if (!row) return;
    if (target.type === "number") mend(target);
    // An anchored study always has an anchor.
    for (const input of inputs(row)) if (input.value === "") write(input, this.#firstAnchor());
    if (target.matches("select")) paint(row, target.value);
    this.#report();
  }

  #clicked(button) {
    const row = button && rowOf(button);
    if (!row) return;
    if (button.matches(".study-another")) this.#addAfter(row);
    else if (button.matches(".study-remove")) this.#remove(row);
    else if (button.matches(".study-pick")) this.#pickFor(row);
  }

  #addAfter(row) {
    const color = unusedColor(chosen());
    const other = added(row);
    paint(other, color);
    this.#report();
    other.querySelector("input:not([type=checkbox]), input").focus();
  }

  #remove(row) {
    checkbox(row.previousElementSibling ?? row).focus();
    row.remove();
    this.#report();
  }

  #pickFor(row) {
    menu.hidePopover();
    this.#anchors.start((seconds) => {
      checkbox(row).checked = true;
      write(inputs(row)[0], seconds);
      this.#report();
    });
  }

  /** Return the first visible bar; today without bars. */
  #firstAnchor() {
    const today = Math.floor(Date.now() / 1000 / DAY_S) * DAY_S;
    return this.#chart.shown ? this.#chart.visibleRange()?.from ?? today : today;
  }

  #report() {
    showLimit();
    this.#onChange(chosen());
  }
}

function rows() {
  return [...menu.querySelectorAll(".study[data-kind]")];
}

function rowOf(node) {
  return node.closest(".study[data-kind]");
}

function checkbox(row) {
  return row.querySelector("[type=checkbox]");
}

function inputs(row) {
  return [...row.querySelectorAll(".study-parameter input")];
}

/** Return the studies of the checked rows. */
function chosen() {
  return rows().filter((row) => checkbox(row).checked).map(studyOf).filter(isValid);
}

function studyOf(row) {
  const read = ({ dataset, valueAsNumber }) => (dataset.time ? valueAsNumber / 1000 : valueAsNumber);
  return { kind: row.dataset.kind, parameters: inputs(row).map(read), color: Number(row.querySelector("select").value) };
}

/** Add a checked row of the same kind after `row`, and return it. */
function added(row) {
  const other = row.cloneNode(true);
  other.dataset.isAdded = "1";
  inputs(row).forEach(({ value }, i) => (inputs(other)[i].value = value));
  checkbox(other).checked = true;
  row.after(other);
  return other;
}

/** Write a parameter; an instant is shown in UTC. */
function write(input, value) {
  if (input.dataset.time) input.valueAsNumber = value * 1000;
  else input.value = value;
}

function paint(row, color) {
  row.querySelector("select").value = color;
  row.querySelector(".swatch").className = `swatch swatch-${color}`;
}

/** With as many studies as possible, no other can be chosen, and the menu says so. */
function showLimit() {
  const isFull = rows().filter((row) => checkbox(row).checked).length >= MAX_STUDIES;
  limit.hidden = !isFull;
  limit.textContent = isFull ? `${MAX_STUDIES} indicators are drawn, and a chart or a link has no more. Remove one to add another.` : "";
  for (const row of rows()) {
    checkbox(row).disabled = isFull && !checkbox(row).checked;
    row.querySelector(".study-another").disabled = isFull;
  }
}

/** Replace an invalid number by the nearest valid one, so that a typing error does not remove the study. */
function mend(input) {
  const { valueAsNumber: value, min, max, step, defaultValue } = input;
  if (Number.isNaN(value)) input.value = defaultValue;
  else input.value = Math.min(max, Math.max(min, Number(step) === 1 ? Math.round(value) : value));
}
