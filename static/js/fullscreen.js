// Full screen for the chart, where the browser allows it.

const button = document.getElementById("full-screen");

/** Make the button work, and show its state. */
export function watchFullScreen() {
  button.hidden = !document.fullscreenEnabled;
  button.addEventListener("click", toggleFullScreen);
  document.addEventListener("fullscreenchange", () => button.setAttribute("aria-pressed", String(Boolean(document.fullscreenElement))));
}

/** Enter full screen, or leave it. */
export function toggleFullScreen() {
  if (!document.fullscreenEnabled) return;
  if (document.fullscreenElement) document.exitFullscreen();
  else document.getElementById("chart-card").requestFullscreen();
}
