// The chart as a PNG with a caption, so that the image can be read without the page.

import { unfinished } from "../bars/newest.js";
import { color, fontFamily } from "../shared/colors.js";
import { utcMinute } from "../shared/times.js";
import { studyName } from "../studies/studies.js";
import { studyWords } from "./legend.js";

const [MARGIN, GAP, TITLE_PX, TEXT_PX] = [12, 6, 15, 12];
// The corner of a pane, in which its studies are named.
const CORNER = { x: MARGIN, y: 6 };

/** Save the chart as an image file. */
export function savePicture(chart) {
  const canvas = framed(chart.picture(), chart);
  canvas.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = fileName(chart.shown);
    link.click();
    // The browser needs the address until the download has begun.
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }, "image/png");
}

function framed(picture, chart) {
  const { shown } = chart;
  const ratio = devicePixelRatio || 1;
  const lines = linesOf(shown);
  const head = Math.round((MARGIN * 1.5 + lines.reduce((height, { px }) => height + px + GAP, 0)) * ratio);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.width, picture.height + head];
  const context = canvas.getContext("2d");
  context.fillStyle = color("--panel");
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, 0, head);
  context.scale(ratio, ratio);
  let y = MARGIN - GAP;
  for (const { px, weight = 400, words } of lines) {
    y += px + GAP;
    context.font = `${weight} ${px}px ${fontFamily()}`;
    write(context, words, y);
  }
  writeInPanes(context, chart, head / ratio);
  return canvas;
}

/** Name the studies below the prices in the corners of their panes, with the values of the newest bar. */
function writeInPanes(context, chart, head) {
  const { shown } = chart;
  const corners = chart.paneBoxes().map((box) => ({ x: CORNER.x, y: head + box.top + CORNER.y + TEXT_PX }));
  const right = context.canvas.width / (devicePixelRatio || 1);
  context.font = `600 ${TEXT_PX}px ${fontFamily()}`;
  for (const drawn of shown.studyLines.filter(({ pane }) => pane > 0)) {
    const corner = corners[drawn.pane];
    const { name, stroke, values } = studyWords(drawn, shown.bars.length - 1, shown);
    const words = [[name, stroke], ...values.map((value) => [value.text, value.stroke])];
    const width = words.reduce((sum, [text]) => sum + context.measureText(text).width + MARGIN, 0);
    if (corner.x > CORNER.x && corner.x + width > right) Object.assign(corner, { x: CORNER.x, y: corner.y + TEXT_PX + GAP });
    context.fillStyle = color("--panel");
    context.fillRect(corner.x - GAP / 2, corner.y - TEXT_PX, width - MARGIN + GAP, TEXT_PX + GAP / 2);
    write(context, words, corner.y, corner.x);
    corner.x += width;
  }
}

/** Return the lines of text above the chart; each word is `[text, colour]`. */
function linesOf(shown) {
  const drawn = shown.studyLines.filter(({ pane }) => pane === 0).map(({ study, stroke }) => [studyName(study, shown.labels), stroke]);
  if (shown.other?.values) drawn.push([shown.other.fullSymbol, color("--compare")]);
  return [
    { px: TITLE_PX, weight: 600, words: [[`${shown.fullSymbol} · ${shown.timeframeLabel}`, color("--text")]] },
    { px: TEXT_PX, words: [[caption(shown), color("--muted")]] },
    { px: TEXT_PX, weight: 600, words: drawn },
  ].filter(({ words }) => words.length);
}

function write(context, words, y, start = MARGIN) {
  let x = start;
  for (const [text, fill] of words) {
    context.fillStyle = fill;
    context.fillText(text, x, y);
    x += context.measureText(text).width + MARGIN;
  }
}

function caption(shown) {
  const { source, fetchedAt, bars, labels } = shown;
  const origin = source === "sample" ? "synthetic bars, no market data" : source;
  const found = unfinished(shown);
  const last = found ? `, ${found.word}` : "";
  return `${origin} · ${labels.clockName} · last bar ${utcMinute(bars.time.at(-1))} UTC${last} · fetched ${fetchedAt.slice(0, 16).replace("T", " ")} UTC · charting by TradingView Lightweight Charts`;
}

function fileName({ fullSymbol, timeframe }) {
  return `${fullSymbol}_${timeframe}`.replace(/[^\p{L}\p{N}._-]+/gu, "_") + ".png";
}
