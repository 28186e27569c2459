// Places small panels beside their buttons. The browser opens and closes the panels.

const GAP = 6;
const MARGIN = 8;
const LEAST_HEIGHT = 200;

/** Place every popover of the page when it opens: as a sheet on a phone, else under its button. */
export function placePopovers() {
  // In the capture phase: the event does not bubble, and rows with popovers may be added later.
  document.addEventListener("toggle", ({ target, newState }) => newState === "open" && target.popover && place(target), true);
}

function place(popover) {
  const button = document.getElementById(popover.dataset.anchor).getBoundingClientRect();
  const isPhone = innerWidth < 640;
  popover.style.maxHeight = "";
  popover.classList.toggle("popover-sheet", isPhone);
  const left = Math.min(button.left, innerWidth - popover.offsetWidth - MARGIN);
  popover.style.left = isPhone ? "0" : `${Math.max(MARGIN, left)}px`;
  // Above the button where there is no room below.
  const isLow = button.bottom + GAP + popover.offsetHeight > innerHeight && button.top > popover.offsetHeight + GAP;
  const top = isLow ? button.top - GAP - popover.offsetHeight : button.bottom + GAP;
  popover.style.top = isPhone ? "auto" : `${top}px`;
  // A long list scrolls within the window.
  if (!isPhone) popover.style.maxHeight = `${Math.max(LEAST_HEIGHT, innerHeight - top - MARGIN)}px`;
}
