// The choice of an anchor: the next bar that the user clicks on the chart, or chooses with Enter.

const hint = document.getElementById("pick");

/** Lets the user choose one bar of `chart`; `getPointed` returns the bar under the crosshair. */
export class AnchorPicker {
  #chart;
  #stage;
  #onPick = null;

  constructor(chart, { stage, getPointed }) {
    [this.#chart, this.#stage] = [chart, stage];
    stage.addEventListener("keydown", ({ key }) => key === "Enter" && this.take(getPointed()));
    document.getElementById("pick-cancel").addEventListener("click", () => this.stop());
  }

  /** Wait for a bar; `onPick` gets its opening instant in UNIX seconds. */
  start(onPick) {
    this.#onPick = onPick;
    hint.hidden = false;
    this.#stage.focus();
  }

  /** Whether a choice is under way. */
  get isWaiting() {
    return this.#onPick !== null;
  }

  /** Wait no longer; returns whether a choice was under way. */
  stop() {
    const isUnderWay = this.isWaiting;
    this.#onPick = null;
    hint.hidden = true;
    return isUnderWay;
  }

  /** Take a click on the bar at `index`, or beside the bars (null); returns whether a choice is under way. */
  take(index) {
    const onPick = this.#onPick;
    if (!onPick) return false;
    if (index === null) return true;
    this.stop();
    onPick(this.#chart.shown.bars.time[index]);
    return true;
  }
}
