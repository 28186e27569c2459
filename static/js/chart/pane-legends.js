// The legends of the panes: text in the upper left corner of each pane below the prices.

const INSET = { top: 3, left: 12 };

/** Keeps an element in the corner of each pane of `chart`, the library's chart, within `container`, the element of the chart. */
export class PaneLegends {
  #chart;
  #container;
  #legends = new Map(); // the element of each pane, by the number of the pane
  #isAwaiting = false;
  #observer = new ResizeObserver(() => this.#place());

  constructor(chart, container) {
    [this.#chart, this.#container] = [chart, container];
    // The price axis has become wider or narrower.
    chart.timeScale().subscribeSizeChange(() => this.#place());
  }

  /** Show `contents`: the nodes of each pane, by the number of the pane. */
  write(contents) {
    for (const [pane, legend] of this.#legends) if (!contents.has(pane)) this.#remove(pane, legend);
    for (const [pane, nodes] of contents) this.#legendOf(pane).replaceChildren(...nodes);
  }

  /** Follow the panes after the library was told to draw other ones. */
  follow() {
    if (this.#isAwaiting) return;
    this.#isAwaiting = true;
    // The library makes and removes the elements of its panes in its next frame, which it has asked for before.
    requestAnimationFrame(() => {
      this.#isAwaiting = false;
      this.#observer.disconnect();
      const elements = this.#chart.panes().map((pane) => pane.getHTMLElement());
      if (elements.includes(null)) return void this.follow();
      for (const element of elements) this.#observer.observe(element);
    });
  }

  /** Return `{top, height}` of each pane in CSS pixels, from the top of the chart; null for a pane without element. */
  boxes() {
    const { top: start } = this.#container.getBoundingClientRect();
    return this.#chart.panes().map((pane) => {
      const box = pane.getHTMLElement()?.getBoundingClientRect();
      return box ? { top: box.top - start, height: box.height } : null;
    });
  }

  #legendOf(pane) {
    const kept = this.#legends.get(pane);
    if (kept) return kept;
    const legend = document.createElement("div");
    legend.className = "pane-legend";
    legend.dataset.pane = pane;
    // Not shown before its place is known.
    legend.hidden = true;
    this.#container.append(legend);
    this.#legends.set(pane, legend);
    this.follow();
    return legend;
  }

  #remove(pane, legend) {
    legend.remove();
    this.#legends.delete(pane);
  }

  #place() {
    const width = this.#chart.timeScale().width();
    const boxes = this.boxes();
    for (const [pane, legend] of this.#legends) {
      const box = boxes[pane];
      legend.hidden = !box;
      if (!box) continue;
      legend.style.top = `${box.top + INSET.top}px`;
      legend.style.left = `${INSET.left}px`;
      legend.style.maxWidth = `${Math.max(0, width - 2 * INSET.left)}px`;
      legend.style.maxHeight = `${Math.max(0, box.height - 2 * INSET.top)}px`;
    }
  }
}
