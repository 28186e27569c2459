// The style sheet's colours in the current theme, light or dark. The system chooses the theme,
// unless the root has `data-theme`; the pages and the admin both set that attribute.

const probe = document.body.appendChild(document.createElement("span"));
probe.hidden = true;

/** Return a colour of the style sheet, such as `--up`, in the current theme. */
export function color(name) {
  // Computed on an element: the raw property contains the colours of both themes.
  probe.style.color = `var(${name})`;
  return getComputedStyle(probe).color;
}

/** Return the page's font, in the form that a canvas needs. */
export function fontFamily() {
  return getComputedStyle(document.body).fontFamily;
}

/** Call `onChange` whenever the page changes between light and dark. */
export function watchColors(onChange) {
  new MutationObserver(onChange).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
}
