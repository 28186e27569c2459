// Studies: their spelling in the address, their bounds, and their lines. `views/studies.py` holds their table.

import { bollinger, ema, rsi, sma, vwap } from "./indicators.js";
import { studies as KINDS } from "./page-data.js";
import { isIntraday } from "./timeframes.js";
import { tradingDayOf } from "./times.js";

// The lines of each kind, as functions of the bars, the parameters and the facts of the bars.
const LINES = {
  sma: ({ close }, [period]) => [{ values: sma(close, period) }],
  ema: ({ close }, [period]) => [{ values: ema(close, period) }],
  bb: bandLines,
  vwap: vwapLines,
  rsi: ({ close }, [period]) => [{ values: rsi(close, period) }],
};
const MAX_STUDIES = 8;

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

/** Whether the study has a pane of its own. */
export function hasPane({ kind }) {
  return KINDS[kind].has_pane;
}

/** Whether the study has the right number of parameters, each within its bounds. */
export function isValid({ kind, parameters }) {
  const bounds = KINDS[kind]?.parameters;
  return bounds?.length === parameters.length && bounds.every((bound, i) => isWithin(bound, parameters[i]));
}

/** Return the study's lines as `{values, isFaint}`; none where the bars are not intraday or have no volume. */
export function studyLines(study, bars, { instrument, timeframe }) {
  return LINES[study.kind](bars, study.parameters, { instrument, timeframe });
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

function bandLines({ close }, [period, width]) {
  const { middle, upper, lower } = bollinger(close, period, width);
  return [{ values: middle }, { values: upper, isFaint: true }, { values: lower, isFaint: true }];
}

function vwapLines(bars, _, { instrument, timeframe }) {
  // With one bar a day there is nothing to average.
  if (!isIntraday(timeframe) || !bars.hasVolume) return [];
  return [{ values: vwap(bars, tradingDayOf(instrument)) }];
}
