// Full screen for the chart, where the browser allows it. The whole page goes to full screen and becomes
// compact, so that the symbol box, the timeframes, menus and dialogs can be used there.

const button = document.getElementById("full-screen");
const isFramed = document.body.classList.contains("is-framed");

/** Make the button work, and show its state. */
export function watchFullScreen() {
  button.hidden = !document.fullscreenEnabled;
  button.addEventListener("click", toggleFullScreen);
  document.addEventListener("fullscreenchange", () => {
    const isFull = Boolean(document.fullscreenElement);
    button.setAttribute("aria-pressed", String(isFull));
    document.body.classList.toggle("is-compact", isFull || isFramed);
  });
}

/** Enter full screen, or leave it. */
export function toggleFullScreen() {
  if (!document.fullscreenEnabled) return;
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen();
}
