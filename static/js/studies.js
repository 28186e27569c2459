// What can be drawn over the bars, how an address says it, and what lines each consists of.

import { bollinger, ema, rsi, sma, vwap } from "./indicators.js";
import { isIntraday } from "./bars.js";
import { tradingDayOf } from "./times.js";

// A window is so many whole bars; a width so many deviations.
const PERIOD = { least: 2, most: 1000, isWhole: true };
const WIDTH = { least: 0.5, most: 10 };
// For each kind: its short name, its parameters' bounds, and its lines.
const KINDS = {
  sma: { name: "SMA", bounds: [PERIOD], lines: ({ close }, [period]) => [{ values: sma(close, period) }] },
  ema: { name: "EMA", bounds: [PERIOD], lines: ({ close }, [period]) => [{ values: ema(close, period) }] },
  bb: { name: "BB", bounds: [PERIOD, WIDTH], lines: bandLines },
  vwap: { name: "VWAP", bounds: [], lines: vwapLines },
  rsi: { name: "RSI", bounds: [PERIOD], isPane: true, lines: ({ close }, [period]) => [{ values: rsi(close, period) }] },
};
const MAX_STUDIES = 8;

/** Return the studies that `text` says, such as `sma:20,bb:20:2`; what is none is left out. */
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
  return KINDS[kind].isPane === true;
}

/** Whether the parameters are within their bounds. */
export function isValid({ kind, parameters }) {
  const bounds = KINDS[kind]?.bounds;
  return bounds?.length === parameters.length && bounds.every((bound, i) => isWithin(bound, parameters[i]));
}

/** Return the study's lines as `{values, isFaint}`; none where the bars do not allow it. */
export function studyLines(study, bars, { instrument, timeframe }) {
  return KINDS[study.kind].lines(bars, study.parameters, { instrument, timeframe });
}

function isWithin({ least, most, isWhole }, value) {
  return value >= least && value <= most && (!isWhole || Number.isInteger(value));
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
  // A day that is one bar long has nothing to average.
  if (!isIntraday(timeframe) || !bars.hasVolume) return [];
  return [{ values: vwap(bars, tradingDayOf(instrument)) }];
}
