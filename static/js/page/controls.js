// The view's controls: chart type, scale, clock, ranges. This module reports changes;
// main.js applies them.

import { canonicalName } from "../symbols/names.js";
import { SCALES, TYPES } from "./address.js";
import { isUseful } from "./ranges.js";

const element = (name) => document.getElementById(name);

/** Set the controls to `view`. */
export function fillControls(view) {
  element("chart-type").value = view.type;
  fillZone(view.zone);
  for (const radio of element("scale").querySelectorAll("input")) radio.checked = radio.value === view.scale;
  for (const name of ["breaks", "gaps"]) element(name).checked = view[name];
  element("compare").value = element("compare").dataset.shown = view.compare;
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

/** Call `onChange` with the changed options of the view. */
export function watchControls(onChange) {
  element("chart-type").addEventListener("change", ({ target }) => onChange({ type: target.value }));
  element("zone").addEventListener("change", ({ target }) => onChange({ zone: target.value }));
  element("scale").addEventListener("change", ({ target }) => onChange({ scale: target.value }));
  for (const name of ["breaks", "gaps"]) element(name).addEventListener("change", ({ target }) => onChange({ [name]: target.checked }));
  element("compare").addEventListener("change", ({ target }) => onChange({ compare: canonicalName(target.value) }));
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

function showCount({ studies, breaks, gaps, compare }) {
  const n = studies.length + [breaks, gaps, compare].filter(Boolean).length;
  const count = document.querySelector("#studies-open .count");
  count.hidden = n === 0;
  count.textContent = n;
}
