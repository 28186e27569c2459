// The chart page. The address holds the state; this module moves it between the address, the
// form, the API and the chart. A newer request always replaces an older one.

import { formatAddress, readAddress, SERIES_DEFAULTS, VIEW_DEFAULTS } from "./address.js";
import { cancelFetch, isAbort, loadBars } from "./api.js";
import { barsOf } from "./bars.js";
import { BarChart } from "./chart.js";
import { enableFor, fillControls, markRange, nextType, readStudies, toggledScale, watchControls } from "./controls.js";
import { showFacts, showRows } from "./facts.js";
import { barInWords, showBar, showLegend } from "./legend.js";
import { keep, keepRecent, recall, recentSymbols } from "./memory.js";
import { showBusy, showEmpty, showNothing, showProblem, showProgress } from "./overlay.js";
import { fillForm, hasSymbol, markFields, readForm, stepTimeframe, watchForm } from "./panel.js";
import { savePicture } from "./picture.js";
import { placePopovers } from "./popovers.js";
import { rangeOf } from "./ranges.js";
import { SymbolBox } from "./search.js";
import { watchKeys } from "./shortcuts.js";
import { switchTheme, watchTheme } from "./theme.js";

const element = (name) => document.getElementById(name);
const form = element("fetch-form");
const { ohlcUrl, symbolsUrl } = form.dataset;
const SUGGESTED = ["BINANCE:BTCUSDT", "NASDAQ:AAPL", "OANDA:EURUSD", "SP:SPX"];

let series = null; // what is shown, or being loaded
let view = { ...VIEW_DEFAULTS };
let request = null; // the AbortController of the load on its way
let queued = null; // the address of the fetch that it waits for, while that is queued
let pointed = null; // the bar under the crosshair
const chart = new BarChart(element("chart"), { onCrosshair: (index) => pointAt(index) });

// --- loading -----------------------------------------------------------------------------

/** Load what the form says and put it into the address. */
function submit({ isFresh = false } = {}) {
  if (!hasSymbol()) return element("symbol").focus();
  view.range = null;
  return open(readForm(), { isFresh, isNewEntry: true });
}

async function open(wanted, { isFresh = false, isNewEntry = false } = {}) {
  request?.abort();
  const controller = (request = new AbortController());
  const { signal } = controller;
  series = wanted;
  fillForm(wanted);
  markFields([]);
  writeAddress({ isNewEntry });
  begin(nameOf(wanted));
  try {
    const reply = await loadBars(ohlcUrl, wanted, { signal, isFresh, onFetch: follow });
    // The body may have been read before the newer request came.
    if (!signal.aborted) draw(reply);
  } catch (error) {
    if (!isAbort(error)) fail(error);
  } finally {
    if (request === controller) request = null;
    if (!request) element("stage").removeAttribute("aria-busy");
  }
}

function follow(fetched, address) {
  queued = fetched.state === "queued" ? address : null;
  say(showProgress(fetched));
}

function begin(name) {
  queued = null;
  element("stage").setAttribute("aria-busy", "true");
  showBusy(name);
  say(`Loading ${name}.`);
}

function draw(reply) {
  // As the API spells it: two spellings of one symbol are one link.
  series = { ...series, symbol: reply.symbol, exchange: reply.exchange, timeframe: reply.timeframe };
  fillForm(series);
  const started = performance.now();
  chart.show(shownOf(reply), view.range);
  performance.measure("draw", { start: started });
  showNothing();
  showView();
  enableFor(chart.shown.bars);
  markRange(null);
  writeAddress();
  remember(reply);
  say(`${nameOf(series)}: ${chart.shown.bars.length} bars, ${chart.shown.isNew ? "newly fetched" : "from the cache"}.`);
}

function fail(problem) {
  showProblem(problem);
  markFields(problem.fields ?? []);
  // The alert itself is read out.
  say("");
  if (!("code" in problem)) throw problem;
}

function stop() {
  if (!request) return;
  request.abort();
  request = null;
  element("stage").removeAttribute("aria-busy");
  if (queued) cancelFetch(queued, form.dataset.csrfToken);
  if (chart.shown) showNothing();
  else showEmpty();
  say(queued ? "Cancelled." : "No longer waiting. A fetch that has begun goes on, and its bars will be kept.");
}

function shownOf(reply) {
  return {
    bars: barsOf(reply),
    instrument: reply.instrument,
    timeframe: reply.timeframe,
    timeframeLabel: element("fetch-form").querySelector(`[name=timeframe][value="${reply.timeframe}"]`).nextSibling.textContent,
    fullSymbol: reply.exchange ? `${reply.exchange}:${reply.symbol}` : reply.symbol,
    source: reply.source,
    fetchedAt: reply.fetched_at,
    isNew: reply.isNew,
    isStale: reply.stale === true,
    isForming: reply.last_bar_final === false,
    isLimited: reply.is_limited === true,
    lastBarFinal: reply.last_bar_final,
    session: reply.session ?? series.session,
    adjustment: reply.adjustment ?? series.adjustment,
    contentHash: reply.content_hash,
    nBars: Number(series.n_bars),
  };
}

// --- showing -----------------------------------------------------------------------------

function showView() {
  const { shown } = chart;
  document.title = `${shown.fullSymbol} ${shown.timeframeLabel} · Dataset service`;
  showLegend(shown, view);
  pointAt(null);
  showFacts(shown, { url: ohlcUrl, query: series });
  element("chart").setAttribute("aria-label", `${shown.fullSymbol}, ${shown.timeframeLabel}, ${shown.bars.length} bars. Newest: ${barInWords(shown, shown.bars.length - 1)}`);
}

function pointAt(index) {
  pointed = index;
  if (chart.shown) showBar(chart.shown, index);
}

function change(changes) {
  view = { ...view, ...changes };
  fillControls(view);
  chart.setView(changes);
  keep("view", { type: view.type, scale: view.scale, zone: view.zone, studies: view.studies });
  if (!chart.shown) return;
  showView();
  writeAddress();
}

function writeAddress({ isNewEntry = false } = {}) {
  const address = series ? formatAddress(series, view) : location.pathname;
  if (address === location.search) return;
  if (isNewEntry) history.pushState(null, "", address);
  else history.replaceState(null, "", address);
}

function remember(reply) {
  keepRecent({ symbol: reply.symbol, exchange: reply.exchange, description: reply.instrument?.description ?? "" });
  const { symbol, exchange, ...choices } = series;
  keep("series", choices);
}

function say(text) {
  if (element("status").textContent !== text) element("status").textContent = text;
}

function nameOf({ symbol, exchange, timeframe }) {
  return `${exchange ? `${exchange}:` : ""}${symbol} ${timeframe}`;
}

// --- moving over the bars ----------------------------------------------------------------

function moveOver(step) {
  if (!chart.shown) return;
  const last = chart.shown.bars.length - 1;
  const index = Math.min(last, Math.max(0, (pointed ?? last + (step < 0 ? 1 : 0)) + step));
  chart.pointAt(index);
  pointAt(index);
  say(barInWords(chart.shown, index));
}

function showPreset(name) {
  const range = rangeOf(name, chart.shown.bars);
  if (range) chart.showRange(range);
  else chart.showAll();
  markRange(name);
  keepRange();
}

/** Put what is in sight into the address, so that a link shows the same part. */
function keepRange() {
  // After the chart has moved: it does so with the next frame.
  requestAnimationFrame(() => requestAnimationFrame(() => {
    const range = chart.shown && chart.visibleRange();
    if (!range) return;
    view.range = range;
    writeAddress();
  }));
}

function movedByHand() {
  markRange(null);
  keepRange();
}

const onChart = (action) => () => chart.shown && action();

const CHART_KEYS = {
  ArrowLeft: () => moveOver(-1),
  ArrowRight: () => moveOver(1),
  Home: onChart(() => showPreset("all")),
  End: onChart(() => [chart.showNewest(), movedByHand()]),
};

// --- wiring ------------------------------------------------------------------------------

function suggestions() {
  const recent = recentSymbols().map(({ symbol, exchange }) => (exchange ? `${exchange}:${symbol}` : symbol));
  const buttons = (recent.length ? recent : SUGGESTED).map((name) => {
    const button = document.createElement("button");
    [button.type, button.className, button.textContent] = ["button", "chip", name];
    button.addEventListener("click", () => choose({ full: name }));
    return button;
  });
  element("suggestions").replaceChildren(...buttons);
}

function choose({ symbol, exchange = "", full }) {
  form.elements.symbol.value = full ?? symbol;
  form.elements.exchange.value = exchange;
  submit();
}

function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else element("chart-card").requestFullscreen();
}

function watchPage() {
  watchForm(submit);
  watchControls(change);
  watchTheme(() => [chart.refreshTheme(), chart.shown && showView()]);
  new SymbolBox({ input: element("symbol"), list: element("symbol-list"), url: symbolsUrl, onChoose: choose });
  element("busy-stop").addEventListener("click", stop);
  element("problem-retry").addEventListener("click", () => open(series, {}));
  element("fetch-again").addEventListener("click", () => open(series, { isFresh: true }));
  element("save-png").addEventListener("click", () => savePicture(chart));
  element("newest").addEventListener("toggle", () => chart.shown && showRows(chart.shown));
  element("ranges").addEventListener("click", ({ target }) => target.dataset.range && showPreset(target.dataset.range));
  element("full-screen").hidden = !document.fullscreenEnabled;
  element("full-screen").addEventListener("click", toggleFullScreen);
  document.addEventListener("fullscreenchange", () => element("full-screen").setAttribute("aria-pressed", String(Boolean(document.fullscreenElement))));
  watchChart();
  watchKeys(KEYS);
  addEventListener("popstate", start);
}

function watchChart() {
  const stage = element("chart");
  for (const name of ["wheel", "pointerup", "touchend"]) stage.addEventListener(name, () => chart.shown && movedByHand(), { passive: true });
  stage.addEventListener("keydown", (event) => {
    if (!CHART_KEYS[event.key]) return;
    event.preventDefault();
    CHART_KEYS[event.key]();
  });
}

const KEYS = {
  "/": () => element("symbol").focus(),
  "[": () => stepTimeframe(-1) && submit(),
  "]": () => stepTimeframe(1) && submit(),
  c: () => change({ type: nextType(view.type) }),
  l: () => change({ scale: toggledScale("log", view.scale) }),
  p: () => change({ scale: toggledScale("percent", view.scale) }),
  i: () => element("studies").togglePopover(),
  "+": onChart(() => [chart.zoom(0.8), movedByHand()]),
  "=": onChart(() => [chart.zoom(0.8), movedByHand()]),
  "-": onChart(() => [chart.zoom(1.25), movedByHand()]),
  f: () => document.fullscreenEnabled && toggleFullScreen(),
  s: onChart(() => savePicture(chart)),
  t: switchTheme,
  Escape: stop,
};

/** Show what the address says. */
function start() {
  const said = readAddress();
  const remembered = said.series.symbol ? {} : recall("view", {});
  view = { ...VIEW_DEFAULTS, ...remembered, ...said.view };
  fillControls(view);
  view.studies = readStudies();
  chart.setView(view);
  if (said.series.symbol) {
    // A link says all that differs from the usual; what this browser did last is no part of it.
    return open({ ...SERIES_DEFAULTS, n_bars: form.elements.n_bars.defaultValue, ...said.series });
  }
  fillForm(said.series);
  suggestions();
  showEmpty();
}

placePopovers();
watchPage();
start();
