// Mouse, pen and finger on the drawings. A press that belongs to a drawing does not reach the chart library.

const CLICK_PX = 4;
// A finger that stays for this time within these few pixels begins a measure.
const LONG_PRESS = { ms: 500, px: 10 };

/** Listen on `stage`, an ancestor of the chart `element`, before the library does. */
export function watchPointer(drawings, { stage, element }) {
  let pressed = null; // the pointer whose press belongs to the drawings
  let beside = null; // where a press beside the drawings began
  let waiting = null; // the timer of a long press
  const isOurs = ({ pointerId }) => pressed === null || pointerId === pressed;

  const waitForLongPress = ({ pointerId, clientX, clientY }) => {
    waiting = setTimeout(() => {
      if (drawings.startMeasure({ clientX, clientY })) [pressed, beside] = [pointerId, null];
    }, LONG_PRESS.ms);
  };

  stage.addEventListener("pointerdown", (event) => {
    clearTimeout(waiting);
    // A second finger belongs to the press of the first one.
    if (!event.isPrimary || event.button !== 0) return;
    [pressed, beside] = [null, null];
    if (!element.contains(event.target)) return;
    const pixel = drawings.pixelOf(event);
    if (pixel && drawings.press(pixel, { isTouch: event.pointerType === "touch" })) {
      pressed = event.pointerId;
      element.focus({ preventScroll: true });
    } else {
      beside = { x: event.clientX, y: event.clientY };
      if (event.pointerType === "touch" && pixel) waitForLongPress(event);
    }
  }, { capture: true });
  // The menu of a long press would end the press.
  stage.addEventListener("contextmenu", (event) => event.pointerType === "touch" && pressed !== null && event.preventDefault());
  addEventListener("pointermove", (event) => {
    if (beside && distance(event, beside) > LONG_PRESS.px) clearTimeout(waiting);
    if (isOurs(event) && drawings.isFollowing) drawings.move(drawings.pixelOf(event, { isAnywhere: true }));
  });
  addEventListener("pointerup", (event) => {
    clearTimeout(waiting);
    if (!isOurs(event)) return;
    if (beside && distance(event, beside) < CLICK_PX) drawings.leave();
    if (drawings.isFollowing) drawings.release(drawings.pixelOf(event, { isAnywhere: true }));
    [pressed, beside] = [null, null];
  });
  addEventListener("pointercancel", (event) => {
    clearTimeout(waiting);
    if (isOurs(event) && drawings.isFollowing) drawings.cancel();
    [pressed, beside] = [null, null];
  });
  keepFromLibrary(stage, () => pressed !== null || drawings.isPressed);
}

function distance({ clientX, clientY }, { x, y }) {
  return Math.hypot(clientX - x, clientY - y);
}

/** While `isTaken()`, stop the events that move the chart, scroll the page, or take the focus from the chart. */
function keepFromLibrary(stage, isTaken) {
  for (const name of ["mousedown", "touchstart", "touchmove"]) {
    stage.addEventListener(name, (event) => {
      if (!isTaken()) return;
      event.stopPropagation();
      if (event.cancelable) event.preventDefault();
    }, { capture: true, passive: false });
  }
}
