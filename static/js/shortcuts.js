// Single keys, when nothing that takes text has the focus. They can be turned off in the sheet.

import { keep, recall } from "./memory.js";

const sheet = document.getElementById("shortcuts");
const enabled = document.getElementById("shortcuts-enabled");

/** Call `actions[key]` for a key pressed; Escape and `?` work even when the others are off. */
export function watchKeys(actions) {
  enabled.checked = recall("shortcuts", true) !== false;
  enabled.addEventListener("change", () => keep("shortcuts", enabled.checked));
  document.getElementById("shortcuts-open").addEventListener("click", () => sheet.showModal());
  sheet.addEventListener("click", (event) => event.target === sheet && sheet.close());
  document.addEventListener("keydown", (event) => pressed(event, { ...actions, "?": () => sheet.showModal() }));
}

function pressed(event, actions) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || sheet.open) return;
  if (event.key !== "Escape" && takesText(event.target)) return;
  if (!enabled.checked && !["Escape", "?"].includes(event.key)) return;
  const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  // `/` must not end up in the box that it leads to.
  if (event.key.length === 1) event.preventDefault();
  action();
}

function takesText(target) {
  return target.matches("select, textarea, input:not([type=radio], [type=checkbox])");
}
