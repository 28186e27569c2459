// The buttons of the drawing tools.

import { keep, recall } from "../shared/memory.js";
import { watchDrawingKeys } from "./keyboard.js";
import { watchPointer } from "./pointer.js";
import { SHAPES } from "./shapes.js";

const SVG = "http://www.w3.org/2000/svg";
const element = (id) => document.getElementById(id);
const bar = element("drawing-tools");
const opener = element("drawing-open");

// Each action has a name, an icon, what it does, and when it is possible or on.
const ACTIONS = [
  { name: "Edit the text", icon: "M4 16l.8-3.4L13.5 4 16 6.5 7.4 15.2z", act: (drawings) => drawings.editText(), isPossible: ({ current }) => current?.kind === "text" },
  { name: "Remove the selected drawing (Del)", icon: "M4.5 6h11M8 6V4h4v2M6 6l.7 10h6.6L14 6", act: (drawings) => drawings.remove(), isPossible: ({ current }) => Boolean(current) },
  { name: "Undo (Ctrl+Z)", icon: "M4 8h8a4 4 0 0 1 0 8H8M7 5 4 8l3 3", act: (drawings) => drawings.undo(), isPossible: ({ edits }) => edits.canUndo },
  { name: "Redo (Ctrl+Shift+Z)", icon: "M16 8H8a4 4 0 0 0 0 8h4M13 5l3 3-3 3", act: (drawings) => drawings.redo(), isPossible: ({ edits }) => edits.canRedo },
  { name: "Hide the drawings (H)", icon: "M2.5 10s3-5 7.5-5 7.5 5 7.5 5-3 5-7.5 5-7.5-5-7.5-5zM3 17 17 3", act: (drawings) => drawings.toggleHidden(), isPossible: ({ edits, isHidden }) => isHidden || edits.list.length > 0, isOn: ({ isHidden }) => isHidden },
  { name: "Remove all drawings of this symbol", icon: "M3 6h9M6 6V4h3v2M4.5 6l.6 10h4.8l.6-10M13.5 11l4 5M17.5 11l-4 5", act: (drawings) => drawings.removeAll(), isPossible: ({ edits }) => edits.list.length > 0 },
];

/** Make the buttons, and listen to them, to the pointer and to the keys. */
export function watchDrawings(drawings, { stage, chart }) {
  const tools = Object.entries(SHAPES).map(([kind, { name, key, icon }]) => ({
    name: `${name} (${key})`, icon, act: () => drawings.use(kind), isPossible: () => true, isOn: ({ tool }) => tool === kind,
  }));
  const buttons = [...tools, ...ACTIONS].map((action) => ({ ...action, button: makeButton(action, drawings, chart) }));
  bar.append(...buttons.map(({ button }) => button));
  drawings.onChange = () => show(drawings, { buttons, chart });
  showBar(recall("drawing-tools", false) === true);
  opener.addEventListener("click", () => {
    showBar(bar.hidden);
    keep("drawing-tools", !bar.hidden);
  });
  watchPointer(drawings, { stage, element: chart });
  watchDrawingKeys(drawings, chart);
  drawings.onChange();
}

function makeButton({ name, icon, act }, drawings, chart) {
  const button = document.createElement("button");
  [button.type, button.className, button.title] = ["button", "icon-button", name];
  // The key in the title is not part of the name.
  button.setAttribute("aria-label", name.replace(/ \([^)]*\)$/, ""));
  const picture = document.createElementNS(SVG, "svg");
  for (const [key, value] of Object.entries({ viewBox: "0 0 20 20", width: 18, height: 18, "aria-hidden": true })) picture.setAttribute(key, value);
  picture.appendChild(document.createElementNS(SVG, "path")).setAttribute("d", icon);
  button.append(picture);
  button.addEventListener("click", () => {
    act(drawings);
    // The arrow keys and Enter act on the chart next, and a disabled button loses the focus.
    if (!document.querySelector("dialog[open]")) chart.focus({ preventScroll: true });
  });
  return button;
}

function show(drawings, { buttons, chart }) {
  for (const { button, isPossible, isOn } of buttons) {
    button.disabled = !isPossible(drawings);
    if (isOn) button.setAttribute("aria-pressed", String(isOn(drawings)));
  }
  chart.classList.toggle("is-drawing", drawings.tool !== null);
  const problem = element("drawing-problem");
  problem.hidden = !drawings.edits.problem;
  if (problem.textContent !== drawings.edits.problem) problem.textContent = drawings.edits.problem;
}

function showBar(isShown) {
  bar.hidden = !isShown;
  opener.setAttribute("aria-pressed", String(isShown));
}
