// The chart as a PNG with a caption, so that the image can be read without the page.

import { unfinished } from "../bars/newest.js";
import { color, fontFamily } from "../shared/colors.js";
import { utcMinute } from "../shared/times.js";
import { studyName } from "../studies/studies.js";

const [MARGIN, GAP, TITLE_PX, TEXT_PX] = [12, 6, 15, 12];

/** Save the chart as an image file. */
export function savePicture(chart) {
  const canvas = framed(chart.picture(), chart.shown);
  canvas.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = fileName(chart.shown);
    link.click();
    // The browser needs the address until the download has begun.
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }, "image/png");
}

function framed(picture, shown) {
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
  return canvas;
}

/** Return the lines of text above the chart; each word is `[text, colour]`. */
function linesOf(shown) {
  const drawn = shown.studyLines.map(({ study, stroke }) => [studyName(study, shown.labels), stroke]);
  if (shown.other?.values) drawn.push([shown.other.fullSymbol, color("--compare")]);
  return [
    { px: TITLE_PX, weight: 600, words: [[`${shown.fullSymbol} · ${shown.timeframeLabel}`, color("--text")]] },
    { px: TEXT_PX, words: [[caption(shown), color("--muted")]] },
    { px: TEXT_PX, weight: 600, words: drawn },
  ].filter(({ words }) => words.length);
}

function write(context, words, y) {
  let x = MARGIN;
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
