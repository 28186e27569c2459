// Small panels beside the button that opens them. The browser opens and closes them.

const GAP = 6;
const MARGIN = 8;

/** Place every popover of the page when it opens: as a sheet on a phone, else under its button. */
export function placePopovers() {
  for (const popover of document.querySelectorAll("[popover]")) {
    popover.addEventListener("toggle", ({ newState }) => newState === "open" && place(popover));
  }
}

function place(popover) {
  const button = document.getElementById(popover.dataset.anchor).getBoundingClientRect();
  const isPhone = innerWidth < 640;
  popover.classList.toggle("popover-sheet", isPhone);
  const left = Math.min(button.left, innerWidth - popover.offsetWidth - MARGIN);
  popover.style.left = isPhone ? "0" : `${Math.max(MARGIN, left)}px`;
  popover.style.top = isPhone ? "auto" : `${button.bottom + GAP}px`;
}
