// Light and dark: the system's theme, or the theme of the switch, which the browser remembers.

import { keep, recall } from "./shared/memory.js";

const root = document.documentElement;
// A page in a frame has no switch.
const themeSwitch = document.getElementById("theme-switch");
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

function followTheme() {
  const kept = recall("theme", null);
  if (kept) root.dataset.theme = kept;
  else delete root.dataset.theme;
  showSwitch();
}

function showSwitch() {
  themeSwitch?.setAttribute("aria-pressed", String(currentTheme() === "dark"));
}

themeSwitch?.addEventListener("click", switchTheme);
// Another page of this service has changed the theme, such as the page around a frame.
addEventListener("storage", ({ key }) => key === "datasets.theme" && followTheme());
system.addEventListener("change", showSwitch);
showSwitch();
