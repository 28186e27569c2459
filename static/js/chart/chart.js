// The chart: bars, volume and studies in the chart library's panes.

import { createChartEx, CrosshairMode, LineSeries } from "../../lightweight-charts/lightweight-charts.standalone.production.mjs";
import { joined, putBar } from "../bars/bars.js";
import { isIntraday, secondsOf } from "../bars/timeframes.js";
import { color } from "../shared/colors.js";
import { percent } from "../shared/numbers.js";
import { indexBefore, Labels } from "../shared/times.js";
import { applyScales, labelLast, possibleScale } from "./axes.js";
import { DrawnBars } from "./bar-series.js";
import { breakLines } from "./breaks.js";
import { GapBands } from "./gaps.js";
import { PaneLegends } from "./pane-legends.js";
import { drawVolume } from "./panes.js";
import { ShiftedTimeScale } from "./scale.js";
import { lineData, priceFormatOf } from "./series.js";
import { DrawnStudies } from "./study-series.js";
import { surface } from "./surface.js";

const BAR_SPACING = 8;
const RIGHT_OFFSET = 6;
const NEAR_PX = 6;
// Shares of the height of each pane.
const STRETCH = { price: 6, volume: 1.4 };

/** Draws one set of bars with the options of a view. */
export class BarChart {
  #scale = new ShiftedTimeScale();
  #chart;
  #bars = null;
  #priceScale = "linear"
  #volume = null;
  #studies;
  #paneLegends;
  #layers = []; // what others draw over the bars
  #behind = []; // what is drawn behind the bars: breaks, and missing bars
  #other = null;
  #shown = null;

  constructor(container, { onCrosshair }) {
    this.view = { type: "candles", scale: "linear", zone: "utc", studies: [], breaks: false, gaps: false };
    this.#chart = createChartEx(container, this.#scale, {
      autoSize: true,
      localization: { percentageFormatter: percent },
      timeScale: { barSpacing: BAR_SPACING, minBarSpacing: 0.01, rightOffsetPixels: RIGHT_OFFSET * BAR_SPACING, enableConflation: true, secondsVisible: false },
      crosshair: { mode: CrosshairMode.Normal },
      // A vertical swipe scrolls the page; a horizontal swipe moves the bars.
      handleScroll: { vertTouchDrag: false },
    });
    this.#studies = new DrawnStudies(this.#chart);
    this.#paneLegends = new PaneLegends(this.#chart, container);
    this.#applyTheme();
    this.#chart.subscribeCrosshairMove(({ logical, point }) => onCrosshair(point ? this.#indexAt(logical) : null));
  }

  /** The bars that are drawn and their facts (see `shownOf`), or null. */
  get shown() {
    return this.#shown;
  }

  /** Draw other bars; the newest bars are visible, or the bars within `range` (UNIX seconds). */
  show(shown, range = null) {
    // Set before drawing: the library reports crosshair moves while it draws, and the legend reads both.
    shown.labels = this.#labelsOf(shown);
    shown.studyLines = [];
    this.#shown = shown;
    this.#chart.applyOptions({ timeScale: { timeVisible: isIntraday(shown.timeframe) } });
    this.#draw();
    this.#chart.priceScale("right").applyOptions({ autoScale: true });
    if (range) this.showRange(range);
    else this.showNewest();
  }

  /** Draw nothing. */
  clear() {
    this.#clear();
    this.#paneLegends.write(new Map());
    this.#shown = null;
  }

  /** Write into the corners of the panes below the prices; `contents` has the nodes of each pane, by its number. */
  writeInPanes(contents) {
    this.#paneLegends.write(contents);
  }

  /** Return `{top, height}` of each pane in CSS pixels, from the top of the chart. */
  paneBoxes() {
    return this.#paneLegends.boxes();
  }

  /** Draw another symbol's closes as a line: `values` has one close for each bar. Null removes the line. */
  compare(other) {
    this.#shown.other = other;
    this.#drawOther();
    this.#applyScales();
  }

  /** Draw bands where bars are missing: `found` is `{gaps, note}`. Null removes them. */
  markGaps(found) {
    this.#shown.missing = found;
    this.#drawBehind();
    this.#applyScales();
  }

  /** Change how the bars are drawn: `type`, `scale`, `zone`, `studies` or `breaks`. */
  setView(changes) {
    this.view = { ...this.view, ...changes };
    if (!this.#shown) return;
    if ("type" in changes || "zone" in changes) this.#redraw();
    else if ("studies" in changes) this.#drawStudies();
    if ("breaks" in changes) this.#drawBehind();
    this.#applyScales();
    // On this scale a forming bar has no series of its own.
    if ("scale" in changes && this.#priceScale === "percent") this.#extendBars(this.#shown.bars.length - 1);
  }

  /** Draw again with the colours of the page's theme. */
  refreshTheme() {
    this.#applyTheme();
    if (this.#shown) this.#redraw();
  }

  /** Update the marks: the newest bar has ended, or revisions are known. */
  refreshMarks() {
    this.#bars?.refreshMarks();
  }

  /** Draw the first `count` of the `older` bars before the drawn ones; the visible bars stay in their place. */
  prepend(older, count) {
    const scale = this.#chart.timeScale();
    const { from, to } = scale.getVisibleLogicalRange();
    this.#shown.bars = joined(older, count, this.#shown.bars);
    const { other } = this.#shown;
    if (other?.values) other.values = [...Array(count).fill(null), ...other.values];
    this.#draw();
    scale.setVisibleLogicalRange({ from: from + count, to: to + count });
  }

  /** Put live bars at the position `start` and after it; the bars before are not drawn again. */
  update(news, start, { isForming, heardAt }) {
    const started = performance.now();
    const shown = this.#shown;
    const { bars } = shown;
    const last = bars.length - 1;
    news.forEach((bar, n) => putBar(bars, start + n, bar));
    Object.assign(shown, { isForming, heardAt });
    for (let i = last + 1; i < bars.length; i++) shown.other?.values?.push(null);
    // While the library merges bars that are narrower than a pixel, it refuses changes of bars before the last one.
    if (start < last) this.#redraw();
    else this.#extend(start, news);
    performance.measure("updated", { start: started });
  }

  /** Draw the bars from the last drawn one, at `start`, on again. */
  #extend(start, news) {
    if (news.some(({ low }) => low <= 0)) this.#applyScales();
    this.#extendBars(start);
    this.#volume?.extend();
    if (this.#studies.extend(start, this.#shown)) return;
    this.#drawStudies();
    this.#applyScales();
  }

  #extendBars(start) {
    this.#bars.extend(start, { isPercent: this.#priceScale === "percent" });
  }

  /** Call `onClick` with `{index, price}` at each click or tap: the bar, null beside the bars, and the price, null outside of the price pane. */
  watchClicks(onClick) {
    const onMouse = ({ logical, point, paneIndex }) => {
      if (!this.#shown) return;
      const price = point && paneIndex === 0 ? this.#main.coordinateToPrice(point.y) : null;
      onClick({ index: point ? this.#indexAt(logical) : null, price });
    };
    this.#chart.subscribeClick(onMouse);
    // The library reports a click soon after another one at the same place only as a double click.
    this.#chart.subscribeDblClick(onMouse);
  }

  /** Return the number of drawn bars left of the visible ones. */
  nBarsLeft() {
    return this.#chart.timeScale().getVisibleLogicalRange()?.from ?? Infinity;
  }

  /** Call `onMove` whenever the visible range changes. */
  watchRange(onMove) {
    this.#chart.timeScale().subscribeVisibleLogicalRangeChange(onMove);
  }

  /** Return the visible range `{from, to}` in UNIX seconds. */
  visibleRange() {
    return this.#chart.timeScale().getVisibleRange();
  }

  showRange(range) {
    this.#chart.timeScale().setVisibleRange(range);
  }

  /** Make all bars visible. */
  showAll() {
    this.#chart.timeScale().fitContent();
  }

  /** Make the newest bars visible at the default width. */
  showNewest() {
    const scale = this.#chart.timeScale();
    const { length } = this.#shown.bars;
    const room = Math.floor(scale.width() / BAR_SPACING);
    // If all bars fit, they are centred instead of crowded at the right end.
    if (length <= room - RIGHT_OFFSET && length > 0) scale.setVisibleLogicalRange({ from: Math.min(-1, length - room / 2), to: length + RIGHT_OFFSET / 2 });
    else scale.setVisibleLogicalRange({ from: length - room + RIGHT_OFFSET, to: length - 1 + RIGHT_OFFSET });
  }

  /** Zoom by `factor` around the newest visible bar. */
  zoom(factor) {
    const scale = this.#chart.timeScale();
    const { from, to } = scale.getVisibleLogicalRange() ?? {};
    if (from !== undefined) scale.setVisibleLogicalRange({ from: to - (to - from) * factor, to });
  }

  /** Put the crosshair on a bar and make the bar visible. */
  pointAt(index) {
    const scale = this.#chart.timeScale();
    const { from, to } = scale.getVisibleLogicalRange();
    const step = Math.min(index - from, 0) || Math.max(index - to, 0);
    if (step) scale.setVisibleLogicalRange({ from: from + step, to: to + step });
    this.#chart.setCrosshairPosition(this.#shown.bars.close[index], this.#shown.bars.time[index], this.#main);
  }

  /** Put the crosshair on the bar that contains `time` (UNIX seconds), without moving the bars; returns its index, or null. */
  pointAtTime(time) {
    const { bars, timeframe } = this.#shown;
    const index = time === null ? -1 : indexBefore(bars.time, time);
    const isInside = index >= 0 && time < bars.time[index] + secondsOf(timeframe);
    if (isInside) this.#chart.setCrosshairPosition(bars.close[index], bars.time[index], this.#main);
    else this.#chart.clearCrosshairPosition();
    return isInside ? index : null;
  }

  /** Return the number of bars within a few pixels of the crosshair. */
  get reach() {
    return Math.floor(NEAR_PX / this.#chart.timeScale().options().barSpacing);
  }

  /** Draw `primitive` (of the chart library) with the prices, also after the bars are drawn again. */
  addLayer(primitive) {
    this.#layers.push(primitive);
    this.#main?.attachPrimitive(primitive);
  }

  /** Return a picture of the chart as a canvas. */
  picture() {
    return this.#chart.takeScreenshot();
  }

  /** The library's series of the bars, or null. */
  get #main() {
    return this.#bars?.series ?? null;
  }

  #indexAt(logical) {
    const index = Math.round(logical);
    return index >= 0 && index < (this.#shown?.bars.length ?? 0) ? index : null;
  }

  #redraw() {
    const range = this.#chart.timeScale().getVisibleLogicalRange();
    this.#draw();
    if (range) this.#chart.timeScale().setVisibleLogicalRange(range);
  }

  #draw() {
    this.#clear();
    this.#applyLabels();
    this.#drawBars();
    this.#drawVolume();
    this.#drawStudies();
    this.#drawOther();
    this.#drawBehind();
    this.#applyScales();
  }

  #clear() {
    this.#studies.clear();
    this.#clearBehind();
    for (const layer of this.#layers) this.#main?.detachPrimitive(layer);
    this.#volume?.remove();
    if (this.#other) this.#chart.removeSeries(this.#other);
    this.#bars?.remove();
    [this.#bars, this.#volume, this.#other] = [null, null, null];
  }

  #applyLabels() {
    const labels = (this.#shown.labels = this.#labelsOf(this.#shown));
    this.#scale.shift = labels.shift;
    this.#chart.applyOptions({
      localization: { timeFormatter: (time) => labels.full(time) },
      timeScale: { tickMarkFormatter: (time, kind) => labels.mark(time, kind) },
    });
  }

  #labelsOf({ bars, instrument, timeframe }) {
    return new Labels({ choice: this.view.zone, instrument, isIntraday: isIntraday(timeframe), bars });
  }

  #drawBars() {
    this.#bars = new DrawnBars(this.#chart, this.#shown, { type: this.view.type, isPercent: this.#possibleScale() === "percent" });
    for (const layer of this.#layers) this.#main.attachPrimitive(layer);
    this.#chart.panes()[0].setStretchFactor(STRETCH.price);
  }

  #drawVolume() {
    const { bars } = this.#shown;
    if (!bars.hasVolume) return;
    this.#volume = drawVolume(this.#chart, bars, 1);
    this.#chart.panes()[1].setStretchFactor(STRETCH.volume);
  }

  #drawStudies() {
    this.#studies.draw(this.view.studies, this.#shown, { main: this.#main, hasVolume: this.#volume !== null });
    this.#paneLegends.follow();
  }

  #drawOther() {
    if (this.#other) this.#chart.removeSeries(this.#other);
    this.#other = null;
    const { other, bars } = this.#shown;
    if (!other?.values) return;
    this.#other = this.#chart.addSeries(LineSeries, { color: color("--compare"), lineWidth: 2, lastValueVisible: false, priceLineVisible: false, priceFormat: priceFormatOf(other) });
    this.#other.setData(lineData(bars.time, other.values));
    labelLast(this.#other, other.values, { color: color("--compare") });
  }

  #drawBehind() {
    this.#clearBehind();
    this.#behind = [this.#shown.missing && new GapBands(this.#shown.missing.gaps), this.view.breaks && breakLines(this.#shown)].filter(Boolean);
    for (const primitive of this.#behind) this.#chart.panes()[0].attachPrimitive(primitive);
  }

  #clearBehind() {
    for (const primitive of this.#behind.splice(0)) this.#chart.panes()[0].detachPrimitive(primitive);
  }

  #applyScales() {
    applyScales(this.#chart, (this.#priceScale = this.#possibleScale()));
  }

  #possibleScale() {
    return possibleScale(this.view.scale, this.#shown.bars);
  }

  #applyTheme() {
    this.#chart.applyOptions(surface());
  }
}
