// The kinds of drawings. Each entry has the name, the key, the number of anchor points, the icon, how the
// kind is drawn and how far a pixel is from it. An item holds a drawing and the pixels `x`, `y` of its points.

import { plainNumber } from "../shared/numbers.js";
import { clipLine, distanceToEdges, distanceToLine, isInside } from "./geometry.js";
import { measureLines } from "./words.js";

const RATIOS = [0, 0.236, 0.382, 0.5, 0.618, 0.786, 1];
const FILL_OPACITY = 0.1;
const TEXT_PX = 13;
const LABEL_PX = 11;
const LINE_PX = 17;
const PADDING = 6;
const line = new Float64Array(4);

/** One entry for each kind, in the order of the tools. */
export const SHAPES = {
  trend: {
    name: "Trend line", key: "1", nPoints: 2, icon: "M5.9 14.1 14.1 5.9M3 15.5a1.7 1.7 0 1 0 3.4 0 1.7 1.7 0 1 0-3.4 0zM13.6 4.5a1.7 1.7 0 1 0 3.4 0 1.7 1.7 0 1 0-3.4 0z",
    draw: (item, pen) => drawLine(item, pen, false),
    distance: ({ x: [ax, bx], y: [ay, by] }, x, y) => distanceToLine(x, y, ax, ay, bx, by),
  },
  ray: {
    name: "Ray", key: "2", nPoints: 2, icon: "M5.9 14.1 16.5 3.5M3 15.5a1.7 1.7 0 1 0 3.4 0 1.7 1.7 0 1 0-3.4 0zM11.5 3.5h5v5",
    draw: (item, pen) => drawLine(item, pen, true),
    distance: ({ x: [ax, bx], y: [ay, by] }, x, y) => distanceToLine(x, y, ax, ay, bx, by, true),
  },
  level: {
    name: "Horizontal line", key: "3", nPoints: 1, icon: "M2 10h16M10 10h.01",
    prepare: ({ points: [{ price }] }, { formatPrice }) => formatPrice(price),
    draw: drawLevel,
    distance: (item, x, y) => Math.abs(y - item.y[0]),
  },
  rectangle: {
    name: "Rectangle", key: "4", nPoints: 2, icon: "M3.5 5.5h13v9h-13z",
    draw: drawRectangle,
    distance: ({ x: [ax, bx], y: [ay, by] }, x, y) => distanceToEdges(x, y, ax, ay, bx, by),
    contains: ({ x: [ax, bx], y: [ay, by] }, x, y) => isInside(x, y, ax, ay, bx, by),
  },
  fibonacci: {
    name: "Fibonacci retracement", key: "5", nPoints: 2, icon: "M2.5 4h15M2.5 8.5h15M2.5 11.5h15M2.5 16h15",
    prices: fibonacciPrices,
    prepare: (drawing, { formatPrice }) => fibonacciPrices(drawing).map((price, n) => `${plainNumber(RATIOS[n])} (${formatPrice(price)})`),
    draw: drawFibonacci,
    distance: ({ x: [ax, bx], levels }, x, y) => levels.reduce((least, at) => Math.min(least, distanceToLine(x, y, ax, at, bx, at)), Infinity),
  },
  text: {
    name: "Text", key: "6", nPoints: 1, icon: "M4 5.5V4h12v1.5M10 4v12M8 16h4",
    draw: drawText,
    distance: (item, x, y) => (isInside(x, y, item.x[0], item.y[0] - LINE_PX / 2, item.x[0] + item.width, item.y[0] + LINE_PX / 2) ? 0 : Infinity),
  },
  measure: {
    name: "Measure", key: "7", nPoints: 2, icon: "M3 13.5 13.5 3l3.5 3.5L6.5 17zM8 8.5l1.5 1.5M10.5 6l1.5 1.5M5.5 11 7 12.5",
    isKept: false,
    prepare: ({ points }, shown, [from, to]) => measureLines(points, Math.round(to) - Math.round(from), shown),
    draw: drawMeasure,
    distance: () => Infinity,
  },
};

/** Return the prices of the levels: 0 at the second point, 1 at the first one. */
function fibonacciPrices({ points: [from, to] }) {
  return RATIOS.map((ratio) => to.price + (from.price - to.price) * ratio);
}

function drawLine({ x, y }, pen, isRay) {
  if (clipLine(x[0], y[0], x[1], y[1], pen, line, isRay)) stroke(pen.context, line[0], line[1], line[2], line[3]);
}

function drawLevel({ y, prepared }, pen) {
  const { context, width } = pen;
  // Between two pixels a line would be blurred.
  const at = Math.round(y[0]) + 0.5;
  stroke(context, 0, at, width, at);
  context.font = pen.fontOf(LABEL_PX);
  [context.textAlign, context.textBaseline] = ["right", "bottom"];
  context.fillText(prepared, width - PADDING, at - 2);
}

function drawRectangle({ x, y }, pen) {
  const { context } = pen;
  const [left, right] = [inPane(Math.min(x[0], x[1]), pen.width), inPane(Math.max(x[0], x[1]), pen.width)];
  const [top, bottom] = [inPane(Math.min(y[0], y[1]), pen.height), inPane(Math.max(y[0], y[1]), pen.height)];
  context.globalAlpha = FILL_OPACITY;
  context.fillRect(left, top, right - left, bottom - top);
  context.globalAlpha = 1;
  context.strokeRect(left, top, right - left, bottom - top);
}

function drawFibonacci({ x, levels, prepared }, pen) {
  const { context } = pen;
  const [left, right] = [inPane(Math.min(x[0], x[1]), pen.width), inPane(Math.max(x[0], x[1]), pen.width)];
  context.font = pen.fontOf(LABEL_PX);
  [context.textAlign, context.textBaseline] = ["left", "bottom"];
  for (let n = 0; n < levels.length; n++) {
    const at = Math.round(inPane(levels[n], pen.height)) + 0.5;
    if (n % 2) {
      const before = inPane(levels[n - 1], pen.height);
      context.globalAlpha = FILL_OPACITY;
      context.fillRect(left, Math.min(before, at), right - left, Math.abs(at - before));
      context.globalAlpha = 1;
    }
    stroke(context, left, at, right, at);
    context.fillText(prepared[n], Math.max(left, 0) + 3, at - 1);
  }
}

function drawText(item, pen) {
  const { context, colors } = pen;
  const [left, middle] = [item.x[0], item.y[0]];
  context.font = pen.fontOf(TEXT_PX);
  [context.textAlign, context.textBaseline] = ["left", "middle"];
  item.width ||= context.measureText(item.drawing.text).width + 2 * PADDING;
  // Letters over bars are hard to read without a ground.
  context.fillStyle = colors.panel;
  context.globalAlpha = 0.78;
  context.fillRect(left, middle - LINE_PX / 2 - 2, item.width, LINE_PX + 4);
  context.globalAlpha = 1;
  context.fillStyle = colors.line;
  context.fillText(item.drawing.text, left + PADDING, middle);
}

function drawMeasure(item, pen) {
  const { context, colors } = pen;
  const [price, span] = item.prepared;
  [context.fillStyle, context.strokeStyle] = Array(2).fill(item.y[1] <= item.y[0] ? colors.up : colors.down);
  drawRectangle(item, pen);
  drawLine(item, pen, false);
  context.font = pen.fontOf(TEXT_PX);
  [context.textAlign, context.textBaseline] = ["center", "middle"];
  item.width ||= Math.max(context.measureText(price).width, context.measureText(span).width) + 2 * PADDING;
  const height = 2 * LINE_PX + PADDING;
  const middle = clamp((item.x[0] + item.x[1]) / 2, item.width / 2, pen.width - item.width / 2);
  const end = item.y[1] <= item.y[0] ? item.y[1] - height - PADDING : item.y[1] + PADDING;
  const top = clamp(end, 0, pen.height - height);
  context.fillRect(middle - item.width / 2, top, item.width, height);
  context.fillStyle = colors.panel;
  context.fillText(price, middle, top + PADDING / 2 + LINE_PX / 2);
  context.fillText(span, middle, top + PADDING / 2 + LINE_PX * 1.5);
}

function stroke(context, ax, ay, bx, by) {
  context.beginPath();
  context.moveTo(ax, ay);
  context.lineTo(bx, by);
  context.stroke();
}

/** Return a coordinate at most a little outside of the pane: its edge is invisible, and a canvas has single precision. */
function inPane(at, size) {
  return clamp(at, -PADDING, size + PADDING);
}

function clamp(value, least, most) {
  return Math.max(least, Math.min(most, value));
}
