// The style sheet's colours, as they are in the page's theme now: light or dark, by the system's
// choice or by that of `data-theme` at the root, which the pages and the admin both set.

const probe = document.body.appendChild(document.createElement("span"));
probe.hidden = true;

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

/** Call `onChange` whenever the page changes between light and dark. */
export function watchColors(onChange) {
  new MutationObserver(onChange).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
}
