// The frames of the grid: each shows the chart page. This module passes messages between the frames.

// The values of a drawn series that each link sets in the other charts.
const LINKED = {
  symbol: ({ symbol, exchange }) => ({ symbol, exchange }),
  timeframe: ({ timeframe }) => ({ timeframe }),
};

/** Shows charts in frames below `container`; `onChange` gets the number of the frame whose chart has changed. */
export class Frames {
  #container;
  #page;
  #onChange;
  #frames = [];
  #current = 0;
  /** Whether a symbol, and a timeframe, that is chosen in one chart is shown in all. */
  linked = { symbol: false, timeframe: false };

  constructor(container, { onChange }) {
    [this.#container, this.#page, this.#onChange] = [container, container.dataset.chartPage, onChange];
    addEventListener("message", (event) => this.#receive(event));
  }

  /** The number of the frame that had the focus last. */
  get current() {
    return this.#current;
  }

  /** Show one frame for each query; a frame that exists already keeps its chart. */
  show(charts) {
    for (const frame of this.#frames.splice(charts.length)) frame.remove();
    for (const chart of charts.slice(this.#frames.length)) this.#add(chart);
    this.#container.dataset.charts = charts.length;
    this.#mark(Math.min(this.#current, charts.length - 1));
  }

  /** Show the `symbol` or the `timeframe` of the current chart in all charts. */
  spread(name) {
    const { drawn } = this.#frames[this.#current];
    if (drawn) this.#leadOthers(this.#current, LINKED[name](drawn));
  }

  /** Move the focus to the chart `step` frames after the current one. */
  step(step) {
    const number = (this.#current + step + this.#frames.length) % this.#frames.length;
    const frame = this.#frames[number];
    this.#mark(number);
    frame.scrollIntoView({ block: "nearest" });
    frame.focus();
    this.#send(frame, { kind: "focus" });
  }

  #add(chart) {
    const frame = document.createElement("iframe");
    [frame.className, frame.title, frame.allow] = ["grid-frame", `Chart ${this.#frames.length + 1}`, "fullscreen; clipboard-write"];
    frame.src = `${this.#page}${chart ? `?${chart}` : ""}`;
    frame.isOpening = Boolean(chart);
    this.#container.append(frame);
    this.#frames.push(frame);
  }

  #receive({ origin, source, data }) {
    const number = this.#frames.findIndex(({ contentWindow }) => contentWindow === source);
    if (origin !== location.origin || number < 0) return;
    if (data.kind === "time") this.#sendToOthers(number, data);
    else if (data.kind === "address") this.#onChange(number, data.search.slice(1));
    else if (data.kind === "drawn") this.#drawn(number, data);
    else if (data.kind === "active") this.#mark(number);
    else if (data.kind === "go") this.step(data.step);
  }

  #drawn(number, { name, ...drawn }) {
    const frame = this.#frames[number];
    const { drawn: before, wanted, isOpening } = frame;
    frame.title = `Chart ${number + 1}: ${name}`;
    Object.assign(frame, { drawn, wanted: null, isOpening: false });
    // A chart that follows another one leads none: the other may have gone on since. At first, the first chart leads.
    if (wanted && isWithin(wanted, drawn)) return;
    if (isOpening && number > 0) {
      frame.wanted = wanted;
      // A message to a frame whose scripts have not run yet is lost, so it is sent again.
      if (wanted) this.#send(frame, { kind: "follow", wanted });
      return;
    }
    const chosen = Object.keys(LINKED).filter((link) => this.linked[link] && !isWithin(LINKED[link](drawn), before ?? {}));
    if (chosen.length) this.#leadOthers(number, Object.assign({}, ...chosen.map((link) => LINKED[link](drawn))));
  }

  /** Let the other charts show `wanted`: some of `{symbol, exchange, timeframe}`. */
  #leadOthers(number, wanted) {
    for (const frame of this.#frames) frame.wanted = isWithin(wanted, frame.drawn ?? {}) ? null : wanted;
    this.#sendToOthers(number, { kind: "follow", wanted });
  }

  #mark(number) {
    this.#current = number;
    this.#frames.forEach((frame, n) => frame.classList.toggle("is-current", n === number));
  }

  #sendToOthers(number, message) {
    for (const frame of this.#frames) if (frame !== this.#frames[number]) this.#send(frame, message);
  }

  #send(frame, message) {
    frame.contentWindow.postMessage(message, location.origin);
  }
}

/** Whether `series` has all of the `values`. */
function isWithin(values, series) {
  return Object.entries(values).every(([name, value]) => series[name] === value);
}
