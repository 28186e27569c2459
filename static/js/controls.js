// The view's controls: chart type, scale, clock, indicators, ranges. This module reports changes;
// main.js applies them.

import { canonicalName, SCALES, TYPES } from "./address.js";
import { isValid } from "./studies.js";
import { isUseful } from "./ranges.js";

const element = (name) => document.getElementById(name);
const studyLines = [...document.querySelectorAll("#studies .study[data-kind]")];

/** Set the controls to `view`. */
export function fillControls(view) {
  element("chart-type").value = view.type;
  fillZone(view.zone);
  for (const radio of element("scale").querySelectorAll("input")) radio.checked = radio.value === view.scale;
  for (const name of ["breaks", "gaps"]) element(name).checked = view[name];
  element("compare").value = element("compare").dataset.shown = view.compare;
  fillStudies(view.studies);
  showCount(view);
}

/** Select the zone; a zone of a link that the browser does not list becomes an option. */
function fillZone(zone) {
  const list = element("zones");
  if (!list.children.length) list.append(...Intl.supportedValuesOf("timeZone").map((name) => new Option(name.replaceAll("_", " "), name)));
  element("zone").value = zone;
  if (element("zone").value === zone) return;
  list.append(new Option(zone, zone));
  element("zone").value = zone;
}

/** Return the studies that are checked in the menu. */
export function readStudies() {
  return studyLines.filter((line) => line.querySelector("[type=checkbox]").checked).map(studyOf).filter(isValid);
}

/** Call `onChange` with the changed options of the view. */
export function watchControls(onChange) {
  element("chart-type").addEventListener("change", ({ target }) => onChange({ type: target.value }));
  element("zone").addEventListener("change", ({ target }) => onChange({ zone: target.value }));
  element("scale").addEventListener("change", ({ target }) => onChange({ scale: target.value }));
  for (const name of ["breaks", "gaps"]) element(name).addEventListener("change", ({ target }) => onChange({ [name]: target.checked }));
  element("compare").addEventListener("change", ({ target }) => onChange({ compare: canonicalName(target.value) }));
  for (const line of studyLines) {
    line.addEventListener("change", ({ target }) => {
      if (target.type === "number") mend(target);
      onChange({ studies: readStudies() });
    });
  }
  element("studies").addEventListener("submit", (event) => {
    event.preventDefault();
    element("studies").hidePopover();
  });
}

/** Return the chart type after `type`. */
export function nextType(type) {
  return TYPES[(TYPES.indexOf(type) + 1) % TYPES.length];
}

/** Return `scale`, or linear where `scale` is the current one. */
export function toggledScale(scale, current) {
  return SCALES.includes(scale) && scale !== current ? scale : "linear";
}

/** Enable the buttons that work for these bars; with null, disable all of them. */
export function enableFor(bars) {
  for (const button of element("ranges").querySelectorAll("button")) {
    button.disabled = bars === null || !isUseful(button.dataset.range, bars);
  }
  element("save-png").disabled = bars === null;
}

/** Mark the button of the visible preset; null marks none. */
export function markRange(name) {
  for (const button of element("ranges").querySelectorAll("button")) {
    button.setAttribute("aria-pressed", String(button.dataset.range === name));
  }
}

/** Replace an invalid number by the nearest valid one, so that a typing error does not remove the study. */
function mend(input) {
  const { valueAsNumber: value, min, max, step, defaultValue } = input;
  if (Number.isNaN(value)) input.value = defaultValue;
  else input.value = Math.min(max, Math.max(min, Number(step) === 1 ? Math.round(value) : value));
}

function studyOf(line) {
  const parameters = [...line.querySelectorAll("[type=number]")].map(({ valueAsNumber }) => valueAsNumber);
  return { kind: line.dataset.kind, parameters, slot: studyLines.indexOf(line) + 1 };
}

/** Put each study into the first free line of its kind. */
function fillStudies(studies) {
  const free = [...studyLines];
  for (const line of studyLines) line.querySelector("[type=checkbox]").checked = false;
  for (const study of studies) {
    const line = free.find((candidate) => candidate.dataset.kind === study.kind);
    if (!line) continue;
    free.splice(free.indexOf(line), 1);
    line.querySelector("[type=checkbox]").checked = true;
    line.querySelectorAll("[type=number]").forEach((input, i) => (input.value = study.parameters[i]));
  }
}

function showCount({ studies, breaks, gaps, compare }) {
  const n = studies.length + [breaks, gaps, compare].filter(Boolean).length;
  const count = document.querySelector("#studies-open .count");
  count.hidden = n === 0;
  count.textContent = n;
}
