// Keys for the drawings. The arrows, Enter and Escape act here before the chart and the page get them.

import { takesText } from "../page/shortcuts.js";
import { SHAPES } from "./shapes.js";

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const PX = 2; // of a step up or down
const FAST = 10; // with Shift

/** Return the single-key shortcuts of the drawings, for `watchKeys`. */
export function drawingKeys(drawings) {
  const tools = Object.entries(SHAPES).map(([kind, { key }]) => [key, () => drawings.use(kind)]);
  return { ...Object.fromEntries(tools), d: () => drawings.selectNext(), h: () => drawings.toggleHidden() };
}

/** Listen to the other keys: undo and redo everywhere, the rest while a tool is chosen or a drawing is selected. */
export function watchDrawingKeys(drawings, element) {
  document.addEventListener("keydown", (event) => {
    // An open window or menu has its own Escape.
    if (event.isComposing || takesText(event.target) || document.querySelector("dialog[open], [popover]:popover-open")) return;
    const isOnChart = event.target === document.body || element.contains(event.target);
    const action = event.ctrlKey || event.metaKey ? withControl(event, drawings) : plain(event, drawings, isOnChart);
    if (!action || action() === false) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  }, { capture: true });
}

function withControl({ key, shiftKey, altKey }, drawings) {
  if (altKey) return null;
  if (key.toLowerCase() === "z") return () => (shiftKey ? drawings.redo() : drawings.undo());
  return key.toLowerCase() === "y" ? () => drawings.redo() : null;
}

function plain({ key, altKey, shiftKey }, drawings, isOnChart) {
  if (altKey) return null;
  if (key === "Escape") return () => drawings.escape();
  if (!isOnChart) return null;
  const size = shiftKey ? FAST : 1;
  if (ARROWS[key]) return () => drawings.step(ARROWS[key][0] * size, ARROWS[key][1] * size * PX);
  if (key === "Enter") return () => drawings.enter();
  return (key === "Delete" || key === "Backspace") && drawings.current ? () => drawings.remove() : null;
}
