// The chart as a PNG that says what it shows, also when it is passed on without the page.

import { color, fontFamily } from "./theme.js";
import { utcMinute } from "./times.js";

const [MARGIN, TITLE_PX, TEXT_PX] = [12, 15, 12];

/** Save the chart as an image file. */
export function savePicture(chart) {
  const canvas = framed(chart.picture(), chart.shown);
  canvas.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = fileName(chart.shown);
    link.click();
    // After the browser has taken it up.
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }, "image/png");
}

function framed(picture, shown) {
  const ratio = devicePixelRatio || 1;
  const head = Math.round((MARGIN * 2 + TITLE_PX + TEXT_PX + 6) * ratio);
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [picture.width, picture.height + head];
  const context = canvas.getContext("2d");
  context.fillStyle = color("--panel");
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.drawImage(picture, 0, head);
  context.scale(ratio, ratio);
  write(context, `${shown.fullSymbol} · ${shown.timeframeLabel}`, { y: MARGIN + TITLE_PX, font: `600 ${TITLE_PX}px ${fontFamily()}`, fill: color("--text") });
  write(context, caption(shown), { y: MARGIN + TITLE_PX + TEXT_PX + 6, font: `${TEXT_PX}px ${fontFamily()}`, fill: color("--muted") });
  return canvas;
}

function write(context, text, { y, font, fill }) {
  [context.font, context.fillStyle] = [font, fill];
  context.fillText(text, MARGIN, y);
}

function caption({ source, fetchedAt, isForming, bars }) {
  const origin = source === "sample" ? "synthetic bars, no market data" : source;
  const last = isForming ? ", forming" : "";
  return `${origin} · last bar ${utcMinute(bars.time.at(-1))} UTC${last} · fetched ${fetchedAt.slice(0, 16).replace("T", " ")} UTC · charting by TradingView Lightweight Charts`;
}

function fileName({ fullSymbol, timeframe }) {
  return `${fullSymbol}_${timeframe}`.replace(/[^A-Za-z0-9._-]+/g, "_") + ".png";
}
