// Light and dark: the system's theme, or the theme of the switch, which the browser remembers.

import { keep } from "./memory.js";

const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

/** Return the current theme: "dark" or "light". */
function currentTheme() {
  return root.dataset.theme ?? (system.matches ? "dark" : "light");
}

/** Change between light and dark. A theme equal to the system's is not kept, so that the page follows the system. */
export function switchTheme() {
  const chosen = currentTheme() === "dark" ? "light" : "dark";
  const isUsual = chosen === (system.matches ? "dark" : "light");
  if (isUsual) delete root.dataset.theme;
  else root.dataset.theme = chosen;
  keep("theme", isUsual ? null : chosen);
  showSwitch();
}

function showSwitch() {
  document.getElementById("theme-switch").setAttribute("aria-pressed", String(currentTheme() === "dark"));
}

document.getElementById("theme-switch").addEventListener("click", switchTheme);
system.addEventListener("change", showSwitch);
showSwitch();
