// The parts of the chart page that its first candles do not need. `main.js` loads them when the candles are painted.

export { LineDrag } from "./alerts/line-drag.js";
export { watchCopyButtons } from "./shared/copy.js";
export { Drawings } from "./drawings/controller.js";
export { drawingKeys } from "./drawings/keyboard.js";
export { watchDrawings } from "./drawings/tools.js";
export { LayoutMenu } from "./grid/layouts.js";
