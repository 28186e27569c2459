// The filters of a list: each change acts at once. Without this module the Filter button does.

import { askFor, replaceParts } from "./refresh.js";

const DEBOUNCE_MS = 250;
const form = document.getElementById("filters");

let timer = null;
let request = null;

/** Watch the filters; `onShown` is called after the rows were replaced. */
export function watchFilters(onShown = () => {}) {
  form.querySelector("[type=submit]").hidden = true;
  form.addEventListener("input", ({ target }) => later(target.type === "text" ? DEBOUNCE_MS : 0, onShown));
  form.addEventListener("submit", (event) => [event.preventDefault(), later(0, onShown)]);
  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (key !== "/" || event.ctrlKey || event.metaKey || event.altKey || target.matches("input[type=text], select, textarea")) return;
    event.preventDefault();
    form.elements.q.select();
  });
}

/** Whether a request for the list is under way or about to begin. */
export function isBusy() {
  return timer !== null || request !== null;
}

function later(ms, onShown) {
  clearTimeout(timer);
  request?.abort();
  timer = setTimeout(() => show(onShown), ms);
}

async function show(onShown) {
  timer = null;
  const controller = (request = new AbortController());
  const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value));
  const address = form.action + (query.size ? `?${query}` : "");
  try {
    const fresh = await askFor(address, { signal: controller.signal });
    if (controller.signal.aborted) return;
    replaceParts(fresh);
    history.replaceState(null, "", address);
    onShown();
  } catch (error) {
    // Load the whole page instead: the server shows the reason of the failure.
    if (error.name !== "AbortError") location.assign(address);
  } finally {
    if (request === controller) request = null;
  }
}
