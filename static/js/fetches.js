// The page of fetches: updates its lists while the page is visible.

import { isBusy, watchFilters } from "./lists/filters.js";
import { askFor, replaceParts } from "./lists/refresh.js";

// Periods of the updates: with active fetches, and without.
const BUSY_MS = 1000;
const QUIET_MS = 5000;
const button = document.getElementById("live");
const isLive = () => button.getAttribute("aria-pressed") === "true";

let timer = null;

function wait() {
  clearTimeout(timer);
  const isActive = Number(document.getElementById("queue").dataset.active) > 0;
  timer = setTimeout(update, isActive ? BUSY_MS : QUIET_MS);
}

async function update() {
  if (isLive() && !document.hidden && !isBusy()) {
    const asked = location.href;
    try {
      const fresh = await askFor(asked);
      // A filter may have shown other rows in the meantime: keep those.
      if (asked === location.href && !isBusy() && isLive()) replaceParts(fresh);
      button.classList.remove("is-lost");
      button.title = "Stop following";
    } catch {
      button.classList.add("is-lost");
      button.title = "The service does not answer; the page tries again";
    }
  }
  wait();
}

watchFilters();
button.hidden = false;
button.addEventListener("click", () => {
  button.setAttribute("aria-pressed", String(!isLive()));
  button.title = isLive() ? "Stop following" : "Follow the fetches";
  if (isLive()) update();
});
document.addEventListener("visibilitychange", () => !document.hidden && update());
wait();
