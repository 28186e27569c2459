// The lines of price alerts across the price pane.

import { LineStyle } from "../../lightweight-charts/lightweight-charts.standalone.production.mjs";
import { color } from "../shared/colors.js";

/**
 * One line of the chart library for each alert, and the line near a pixel. Attached to the series of the bars as a
 * primitive of the library, so that the lines come back when the bars are drawn again.
 */
export class AlertLines {
  #chart = null; // the library's chart
  #series = null; // the library's series of the bars, whose price scale the lines have
  #alerts = []; // `{id, price, title}`
  #lines = new Map(); // the library's line of each alert, by the id of the alert
  #held = null; // `{id, price}` of the line that is away from the price of its alert

  attached({ chart, series }) {
    [this.#chart, this.#series] = [chart, series];
    this.#draw();
  }

  detached() {
    // The series is being removed, and its lines with it.
    this.#series = null;
    this.#lines.clear();
  }

  /** Draw a line for each of the `alerts`; a held line stays where it is. */
  set(alerts) {
    this.#alerts = alerts;
    if (!this.has(this.#held?.id)) this.#held = null;
    if (this.#series) this.#draw();
  }

  /** Whether the alert `id` has a line. */
  has(id) {
    return this.#alerts.some((alert) => alert.id === id);
  }

  /** Return `{id, price, title}` of the line nearest to a pixel of the price pane, at most `reach` pixels away, else null. */
  nearest({ x, y }, reach) {
    if (!this.#series) return null;
    const { width, height } = this.#chart.paneSize(0);
    if (x < 0 || x >= width || y < 0 || y >= height) return null;
    const away = ({ price }) => Math.abs((this.heightOf(price) ?? Infinity) - y);
    const [found] = this.#alerts.filter((alert) => away(alert) <= reach).sort((one, other) => away(one) - away(other));
    return found ?? null;
  }

  /** Return the pixels from the top of the price pane to a price; null where the scale has none. */
  heightOf(price) {
    return this.#series?.priceToCoordinate(price) ?? null;
  }

  /** Return the price at the height `y`, or at the nearest edge of the price pane; null where the scale has none. */
  priceAt(y) {
    const { height } = this.#chart.paneSize(0);
    return this.#series?.coordinateToPrice(Math.min(height - 1, Math.max(0, y))) ?? null;
  }

  /** Hold the line of the alert `id` at a price; null lets it return to the price of its alert. */
  hold(held) {
    const ids = new Set([this.#held?.id, held?.id]);
    this.#held = held;
    for (const alert of this.#alerts) if (ids.has(alert.id)) this.#lines.get(alert.id)?.applyOptions(this.#optionsOf(alert));
  }

  #draw() {
    for (const line of this.#lines.values()) this.#series.removePriceLine(line);
    this.#lines = new Map(this.#alerts.map((alert) => [alert.id, this.#series.createPriceLine(this.#optionsOf(alert))]));
  }

  #optionsOf({ id, price, title }) {
    const isHeld = id === this.#held?.id;
    return { price: isHeld ? this.#held.price : price, title, color: color("--link"), lineStyle: LineStyle.Dotted, lineWidth: isHeld ? 2 : 1, axisLabelVisible: true };
  }
}
