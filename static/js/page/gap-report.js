// The gap report of the dataset shown, loaded while its bands are switched on.

import { placeGaps } from "../chart/gaps.js";
import { loadKept } from "../shared/api.js";
import { wholeNumber } from "../shared/numbers.js";

const { gapsUrl, archiveGapsUrl } = document.getElementById("gaps").dataset;

/** Shows the missing bars on `chart`: one request for each dataset and fetch. */
export class MissingBars {
  #chart;
  #onChange;
  #say;
  #key = null;
  #report = null; // the promise of the report of `#key`

  /** `onChange` is called whenever the bands have changed; `say` gets their number in words. */
  constructor(chart, { onChange, say }) {
    [this.#chart, this.#onChange, this.#say] = [chart, onChange, say];
  }

  /** Draw the missing bars of the bars shown, or remove them. */
  async show(isOn) {
    const { shown } = this.#chart;
    this.#mark(null);
    if (!isOn) return;
    const request = this.#reportOf(shown);
    let found;
    try {
      found = foundIn(await request, shown);
    } catch (error) {
      // The next attempt sends another request.
      if (this.#report === request) this.#key = null;
      found = { gaps: [], note: `Missing bars are not shown: ${error.message}` };
    }
    // Other bars may be drawn by now, or the switch may be off.
    if (this.#chart.shown !== shown || !this.#chart.view.gaps) return;
    this.#mark(found);
    this.#say(found.note);
  }

  #mark(found) {
    this.#chart.markGaps(found);
    this.#onChange();
  }

  #reportOf({ dataset, archive, contentHash, fetchedAt }) {
    // A fetch that leaves the bars as they were may still confirm what is missing.
    const key = [dataset, archive, contentHash, fetchedAt].join();
    const address = dataset ? gapsUrl.replace("/0/", `/${dataset}/`) : archiveGapsUrl.replace("/0/", `/${archive}/`);
    if (key !== this.#key) [this.#key, this.#report] = [key, loadKept(address)];
    return this.#report;
  }
}

/** Return `{gaps, note}`: the findings within the bars shown, and their number in words. */
function foundIn(report, shown) {
  if (report.why_unknown) return { gaps: [], note: `Missing bars are not known. ${report.why_unknown}` };
  const gaps = placeGaps(report.findings, shown);
  const unlisted = report.n_findings - report.findings.length;
  const more = unlisted ? ` The report lists ${report.findings.length} of ${wholeNumber(report.n_findings)} ranges.` : "";
  return { gaps, note: `${countInWords(gaps.length)}.${more}` };
}

function countInWords(n) {
  if (n === 0) return "No missing bars";
  return n === 1 ? "1 range of missing bars" : `${wholeNumber(n)} ranges of missing bars`;
}
