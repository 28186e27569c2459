// The pages of the catalog: filters that act at once, buttons that copy, and the choice of several rows.

import { watchFilters } from "./lists/filters.js";
import { watchCopyButtons } from "./shared/copy.js";
import { placePopovers } from "./shared/popovers.js";

const boxes = () => [...document.querySelectorAll("input[name=dataset]")];
let lastPressed = null;

/** Show the number of chosen rows, and disable the buttons where it is 0. */
function showChosen() {
  const form = document.getElementById("bulk");
  if (!form) return;
  const [all, chosen] = [boxes(), boxes().filter((box) => box.checked)];
  const choose = document.getElementById("choose-all");
  choose.hidden = false;
  choose.checked = chosen.length === all.length;
  choose.indeterminate = chosen.length > 0 && chosen.length < all.length;
  document.getElementById("chosen").textContent = chosen.length ? `${chosen.length} chosen` : "None chosen";
  for (const button of form.querySelectorAll("button")) button.disabled = chosen.length === 0;
}

function pressed({ target, shiftKey }) {
  if (target.id === "choose-all") for (const box of boxes()) box.checked = target.checked;
  else if (target.name !== "dataset") return;
  else if (shiftKey && lastPressed?.isConnected) checkBetween(lastPressed, target);
  if (target.name === "dataset") lastPressed = target;
  showChosen();
}

function checkBetween(one, other) {
  const all = boxes();
  const [from, to] = [all.indexOf(one), all.indexOf(other)].sort((a, b) => a - b);
  for (const box of all.slice(from, to + 1)) box.checked = other.checked;
}

watchCopyButtons();
placePopovers();
if (document.getElementById("filters")) {
  watchFilters(showChosen);
  document.addEventListener("click", pressed);
  // The browser may restore the choice of an earlier visit.
  showChosen();
}
