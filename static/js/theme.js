// Light and dark: the system's choice, or the one made with the switch, which is remembered.

import { keep } from "./memory.js";

const root = document.documentElement;
const system = matchMedia("(prefers-color-scheme: dark)");
const probe = document.getElementById("theme-switch").appendChild(document.createElement("span"));
probe.hidden = true;

/** Return "dark" or "light", as the page looks now. */
export function currentTheme() {
  return root.dataset.theme ?? (system.matches ? "dark" : "light");
}

/** Return a colour of the style sheet, such as `--up`, as the page's theme has it. */
export function color(name) {
  // By way of an element: a property read as it stands would be both themes' colours.
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

/** Return the page's font, as a canvas wants it. */
export function fontFamily() {
  return getComputedStyle(document.body).fontFamily;
}

/** Change between light and dark. What the system has chosen itself is not kept: it may change its mind. */
export function switchTheme() {
  const wanted = currentTheme() === "dark" ? "light" : "dark";
  const isUsual = wanted === (system.matches ? "dark" : "light");
  if (isUsual) delete root.dataset.theme;
  else root.dataset.theme = wanted;
  keep("theme", isUsual ? null : wanted);
  announce();
}

/** Call `onChange` whenever the page changes between light and dark. */
export function watchTheme(onChange) {
  root.addEventListener("themechange", onChange);
}

function announce() {
  document.getElementById("theme-switch").setAttribute("aria-pressed", String(currentTheme() === "dark"));
  root.dispatchEvent(new Event("themechange"));
}

document.getElementById("theme-switch").addEventListener("click", switchTheme);
system.addEventListener("change", announce);
announce();
