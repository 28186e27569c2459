// Studies: their spelling in the address, their bounds and their colours. `views/studies.py` contains
// the table of studies, `indicators.js` computes their lines.

import { plainNumber } from "../shared/numbers.js";
import { studies as KINDS } from "../shared/page-data.js";
import { anchorIndex, LINES } from "./indicators.js";

// As many as `colors.css` has colours.
export const MAX_STUDIES = 12;
const COLOR = /^c(\d+)$/;

/** Return the studies in `text`, such as `sma:20,bb:20:2:c4`; invalid ones are left out, and those after the twelfth. */
export function parseStudies(text) {
  return colored(text.split(",").map(parseStudy).filter(Boolean).slice(0, MAX_STUDIES));
}

/** Return studies as text for an address. A colour that the menu gives to the study is left out. */
export function formatStudies(studies) {
  const format = ({ kind, parameters, color }, i) => [kind, ...parameters, ...(color === menuColor(studies, i) ? [] : [`c${color}`])].join(":");
  return studies.map(format).join(",");
}

/** Return the number of the first colour that none of the studies has. */
export function unusedColor(studies) {
  const used = new Set(studies.map(({ color }) => color));
  for (let color = 1; color <= MAX_STUDIES; color++) if (!used.has(color)) return color;
  return 1;
}

/** Return a study's name with its parameters: `BB 20 2`, or `VWAP from Fri, Feb 14, 2025 13:30`. */
export function studyName({ kind, parameters }, labels) {
  const written = parameters.map((value, i) => (KINDS[kind].parameters[i].is_time ? labels.full(value) : plainNumber(value)));
  return [KINDS[kind].name, ...written].join(" ");
}

/** Return where the study is drawn, the ends of its index (null for prices and volumes), and its guides. */
export function layoutOf({ kind }) {
  const { place, range, guides } = KINDS[kind];
  return { place, range, guides };
}

/** Whether the study has the right number of parameters, each within its bounds, and a colour. */
export function isValid({ kind, parameters, color }) {
  const bounds = KINDS[kind]?.parameters;
  const hasColor = color === undefined || (Number.isInteger(color) && color >= 1 && color <= MAX_STUDIES);
  return hasColor && bounds?.length === parameters.length && bounds.every((bound, i) => isWithin(bound, parameters[i]));
}

/** Return the study's lines as `{values, isFaint, isHistogram}`; none where the bars do not have what it needs. */
export function studyLines(study, bars, { timeframe, instrument }) {
  return LINES[study.kind](bars, study.parameters, { timeframe, instrument });
}

/** Return why a study has no lines. */
export function whyNotDrawn({ kind, parameters }, { bars, timeframe, instrument }) {
  if (kind === "vwap") return "needs intraday bars with volume";
  if (kind !== "avwap" || !bars.hasVolume) return "needs bars with volume";
  const isBefore = anchorIndex(bars, parameters[0], { timeframe, instrument }) < 0;
  return isBefore ? "not drawn: begins before the first bar shown, older bars are needed" : "not drawn: begins after the newest bar";
}

function isWithin({ min, max, step }, value) {
  return value >= min && value <= max && (step !== 1 || Number.isInteger(value));
}

function parseStudy(text) {
  const [kind, ...numbers] = text.split(":");
  if (!Object.hasOwn(KINDS, kind)) return null;
  const color = COLOR.exec(numbers.at(-1) ?? "");
  if (color) numbers.pop();
  const study = { kind, parameters: numbers.map(Number), color: color ? Number(color[1]) : undefined };
  return isValid(study) ? study : null;
}

/** Return the colour that the menu gives to the study at `index`; undefined where the menu has no row for it. */
function menuColor(studies, index) {
  const { kind } = studies[index];
  return KINDS[kind].colors[studies.slice(0, index).filter((other) => other.kind === kind).length];
}

/** Return the studies with a colour each: the chosen one, the one of the menu, else an unused one. */
function colored(studies) {
  const found = studies.map((study, i) => ({ ...study, color: study.color ?? menuColor(studies, i) }));
  for (const study of found) study.color ??= unusedColor(found);
  return found;
}
