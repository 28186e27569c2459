// Studies: their spelling in the address and their bounds. `views/studies.py` contains the table of
// studies, `indicators.js` computes their lines.

import { LINES } from "./indicators.js";
import { studies as KINDS } from "./page-data.js";

// As many as `colors.css` has colours.
const MAX_STUDIES = 12;

/** Return the studies in `text`, such as `sma:20,bb:20:2`; invalid ones are left out. */
export function parseStudies(text) {
  return text.split(",").map(parseStudy).filter(Boolean).slice(0, MAX_STUDIES);
}

/** Return studies as text for an address. */
export function formatStudies(studies) {
  return studies.map(({ kind, parameters }) => [kind, ...parameters].join(":")).join(",");
}

/** Return a study's name with its parameters: `BB 20 2`. */
export function studyName({ kind, parameters }) {
  return [KINDS[kind].name, ...parameters].join(" ");
}

/** Return where the study is drawn, the ends of its index (null for prices and volumes), and its guides. */
export function layoutOf({ kind }) {
  const { place, range, guides } = KINDS[kind];
  return { place, range, guides };
}

/** Whether the study has the right number of parameters, each within its bounds. */
export function isValid({ kind, parameters }) {
  const bounds = KINDS[kind]?.parameters;
  return bounds?.length === parameters.length && bounds.every((bound, i) => isWithin(bound, parameters[i]));
}

/** Return the study's lines as `{values, isFaint, isHistogram}`; none where the bars do not have what it needs. */
export function studyLines(study, bars, { timeframe }) {
  return LINES[study.kind](bars, study.parameters, { timeframe });
}

function isWithin({ min, max, step }, value) {
  return value >= min && value <= max && (step !== 1 || Number.isInteger(value));
}

function parseStudy(text) {
  const [kind, ...numbers] = text.split(":");
  if (!Object.hasOwn(KINDS, kind)) return null;
  const study = { kind, parameters: numbers.map(Number) };
  return isValid(study) ? study : null;
}
