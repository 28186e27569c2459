// Keyboard shortcuts of one key, while no text field has the focus. The user can turn them off.

import { keep, recall } from "../shared/memory.js";

const sheet = document.getElementById("shortcuts");
const enabled = document.getElementById("shortcuts-enabled");

/** Call `actions[key]` for a pressed key; Escape and `?` work also while the shortcuts are off. */
export function watchKeys(actions) {
  enabled.checked = recall("shortcuts", true) !== false;
  enabled.addEventListener("change", () => keep("shortcuts", enabled.checked));
  // A page in a frame has no such button.
  document.getElementById("shortcuts-open")?.addEventListener("click", () => sheet.showModal());
  sheet.addEventListener("click", (event) => event.target === sheet && sheet.close());
  document.addEventListener("keydown", (event) => pressed(event, { ...actions, "?": () => sheet.showModal() }));
}

function pressed(event, actions) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || sheet.open) return;
  if (event.key !== "Escape" && takesText(event.target)) return;
  if (!enabled.checked && !["Escape", "?"].includes(event.key)) return;
  const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action) return;
  // Without this, `/` would be typed into the box that gets the focus.
  if (event.key.length === 1) event.preventDefault();
  action();
}

/** Return whether keys pressed on this element write text. */
export function takesText(target) {
  return target.matches("select, textarea, input:not([type=radio], [type=checkbox])");
}
