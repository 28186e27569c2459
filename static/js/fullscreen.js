// The chart alone on the whole screen, where the browser can do that.

const button = document.getElementById("full-screen");

/** Make the button work and show what it has done. */
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
