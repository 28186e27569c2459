// Light and dark: the system's choice, or the one made with the switch, which is remembered.

import { keep } from "./memory.js";

const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");

/** Return "dark" or "light", as the page looks now. */
function currentTheme() {
  return root.dataset.theme ?? (system.matches ? "dark" : "light");
}

/** Change between light and dark. What the system has chosen itself is not kept: it may change its mind. */
export function switchTheme() {
  const wanted = currentTheme() === "dark" ? "light" : "dark";
  const isUsual = wanted === (system.matches ? "dark" : "light");
  if (isUsual) delete root.dataset.theme;
  else root.dataset.theme = wanted;
  keep("theme", isUsual ? null : wanted);
  showSwitch();
}

function showSwitch() {
  document.getElementById("theme-switch").setAttribute("aria-pressed", String(currentTheme() === "dark"));
}

document.getElementById("theme-switch").addEventListener("click", switchTheme);
system.addEventListener("change", showSwitch);
showSwitch();
