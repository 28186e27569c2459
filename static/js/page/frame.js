// The chart page in a frame of the grid: it tells the page around it what it shows and where its crosshair is,
// and follows the crosshair of the other charts. Outside of a frame, nothing of this happens.

const isFramed = document.body.classList.contains("is-framed");
const alone = document.getElementById("open-alone");

/** Exchanges messages with the page around the frame: `onTime` gets the time of another chart's crosshair (UNIX seconds, or null), `onFollow` what this chart shows with them: some of `{symbol, exchange, timeframe}`. */
export class GridLink {
  #isLeading = false; // whether the crosshair of this chart is the one that the reader moves
  #time = null;

  constructor(stage, { onTime, onFollow }) {
    if (!isFramed) return;
    for (const name of ["pointerenter", "pointerdown", "keydown"]) stage.addEventListener(name, () => (this.#isLeading = true), { capture: true });
    addEventListener("focus", () => this.#tell({ kind: "active" }));
    addEventListener("message", ({ origin, source, data }) => {
      if (origin !== location.origin || source !== parent) return;
      if (data.kind === "time") this.#isLeading = false;
      const receive = { time: () => onTime(data.time), follow: () => onFollow(data.wanted), focus: () => stage.focus() }[data.kind];
      receive?.();
    });
  }

  /** The keys that move the focus to another chart. */
  get keys() {
    if (!isFramed) return {};
    return { ",": () => this.#tell({ kind: "go", step: -1 }), ".": () => this.#tell({ kind: "go", step: 1 }) };
  }

  /** Tell the time under the crosshair. */
  shareTime(time) {
    if (!this.#isLeading || time === this.#time) return;
    this.#time = time;
    this.#tell({ kind: "time", time });
  }

  /** Tell the address of the chart. */
  shareAddress(search) {
    if (!isFramed) return;
    alone.href = `${alone.dataset.page}${search}`;
    this.#tell({ kind: "address", search });
  }

  /** Tell the series that is drawn. */
  shareSeries({ symbol, exchange, timeframe }, name) {
    this.#tell({ kind: "drawn", symbol, exchange, timeframe, name });
  }

  #tell(message) {
    if (isFramed) parent.postMessage(message, location.origin);
  }
}
