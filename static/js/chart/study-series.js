// The studies of the drawn bars: lines over the prices, and lines in the panes below.

import { color } from "../shared/colors.js";
import { layoutOf, studyLines } from "../studies/studies.js";
import { extendLines } from "../studies/tails.js";
import { StudyLines } from "./lines.js";
import { drawInPane, VOLUME_FORMAT } from "./panes.js";
import { priceFormatOf } from "./series.js";

// Share of the height of each pane of studies.
const STRETCH = 1.6;

/** Draws studies in the panes of `chart`, the library's chart. */
export class DrawnStudies {
  #chart;
  #main = null; // the series of the bars
  #priceLines = null;
  #below = []; // the studies in the panes below, as `drawInPane` returns them

  constructor(chart) {
    this.#chart = chart;
  }

  /** Draw `studies` of the bars `shown`, and keep there their values and the number of their pane; `main` is the series of the bars, `hasVolume` says whether volumes are drawn. */
  draw(studies, shown, { main, hasVolume }) {
    this.clear();
    this.#main = main;
    shown.studyLines = studies.map((study) => ({
      study, stroke: color(`--study-${study.color}`), lines: studyLines(study, shown.bars, shown), pane: 0,
    }));
    const placed = (place) => shown.studyLines.filter(({ study }) => layoutOf(study).place === place);
    const lines = placed("prices").flatMap(({ stroke, lines }) => lines.map(({ values, isFaint }) => ({ values, stroke, width: isFaint ? 1 : 1.5 })));
    this.#priceLines = new StudyLines(lines);
    main.attachPrimitive(this.#priceLines);
    for (const drawn of placed("volumes")) this.#drawBelow(drawn, shown, { pane: 1, format: VOLUME_FORMAT });
    const first = hasVolume ? 2 : 1;
    const kinds = [...new Set(placed("pane").map(({ study }) => study.kind))];
    for (const drawn of placed("pane")) this.#drawBelow(drawn, shown, { pane: first + kinds.indexOf(drawn.study.kind), format: priceFormatOf(shown) });
    for (const pane of this.#chart.panes().slice(first)) pane.setStretchFactor(STRETCH);
  }

  /** Draw the values from the bar at `start` on again, and return true; false where all studies must be drawn again. */
  extend(start, shown) {
    if (!shown.studyLines.every((drawn) => extendLines(drawn, start, shown))) return false;
    for (const drawn of this.#below) drawn.extend();
    return true;
  }

  clear() {
    for (const drawn of this.#below) drawn.remove();
    this.#below = [];
    if (this.#priceLines) this.#main.detachPrimitive(this.#priceLines);
    this.#priceLines = null;
  }

  #drawBelow(drawn, shown, { pane, format }) {
    const { study, stroke, lines } = drawn;
    const { range, guides } = layoutOf(study);
    if (!lines.length) return;
    drawn.pane = pane;
    this.#below.push(drawInPane(this.#chart, { time: shown.bars.time, lines, stroke, pane, range, guides, format }));
  }
}
