// The chart page. The address holds the state; this module moves it between the address, the
// form, the API and the chart. A newer request always replaces an older one.

import { formatAddress, readAddress, SERIES_DEFAULTS, VIEW_DEFAULTS } from "./address.js";
import { cancelFetch, isAbort, loadBars } from "./api.js";
import { BarChart } from "./chart.js";
import { watchColors } from "./colors.js";
import { Comparison } from "./compare.js";
import { enableFor, fillControls, nextType, readStudies, toggledScale, watchControls } from "./controls.js";
import { clearFacts, originOf, showFacts, showRows } from "./facts.js";
import { barInWords, hideLegend, showLegend } from "./legend.js";
import { keep, keepRecent, recall } from "./memory.js";
import { Mover } from "./moving.js";
import { showBusy, showEmpty, showNothing, showProblem, showProgress } from "./overlay.js";
import { fillForm, hasSymbol, markFields, readForm, stepTimeframe, watchForm } from "./panel.js";
import { savePicture } from "./picture.js";
import { placePopovers } from "./popovers.js";
import { SymbolBox } from "./search.js";
import { watchKeys } from "./shortcuts.js";
import { labelOf, shownOf } from "./shown.js";
import { showSuggestions } from "./suggestions.js";
import { switchTheme } from "./theme.js";

const element = (name) => document.getElementById(name);
const form = element("fetch-form");
const { ohlcUrl, symbolsUrl } = form.dataset;

let series = null; // what is shown, or being loaded
let drawn = null; // what is shown
let view = { ...VIEW_DEFAULTS };
let scaleAlone = view.scale; // the price scale without a second symbol
let request = null; // the AbortController of the load on its way
let queued = null; // the address of the fetch that it waits for, while that is queued
let saidState = null; // the state of that fetch that was announced last
let retry = null; // asks once more for what went wrong
const chart = new BarChart(element("chart"), { onCrosshair: (index) => mover.pointAt(index) });
const comparison = new Comparison(chart, { url: ohlcUrl, onChange: () => mover.refresh() });
const symbolBox = new SymbolBox({ input: element("symbol"), list: element("symbol-list"), url: symbolsUrl, onChoose: choose, say });
const mover = new Mover(chart, { onRange: keepRange, say });

// --- loading -----------------------------------------------------------------------------

/** Load what the form says and put it into the address. */
function submit() {
  if (!hasSymbol()) return element("symbol").focus();
  view.range = null;
  return open(readForm(), { isNewEntry: true });
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
  const started = performance.now();
  try {
    const reply = await loadBars(ohlcUrl, wanted, { signal, isFresh, onFetch: follow });
    // The body may have been read before the newer request came.
    if (!signal.aborted) draw(reply, { tookMs: performance.now() - started });
  } catch (error) {
    if (!isAbort(error)) fail(error, { isFresh });
  } finally {
    if (request === controller) request = null;
    if (!request) element("stage").removeAttribute("aria-busy");
  }
}

function follow(fetched, address) {
  queued = fetched.state === "queued" ? address : null;
  const sentence = showProgress(fetched);
  // Once for each state: counts that are read out all the time help nobody.
  if (fetched.state !== saidState) say(sentence);
  saidState = fetched.state;
}

function begin(name) {
  queued = saidState = null;
  element("stage").setAttribute("aria-busy", "true");
  showBusy(name);
  say(`Loading ${name}.`);
}

function draw(reply, { tookMs }) {
  // As the API spells it: two spellings of one symbol are one link.
  series = { ...series, symbol: reply.symbol, exchange: reply.exchange, timeframe: reply.timeframe };
  drawn = series;
  fillForm(series);
  const started = performance.now();
  chart.show(shownOf(reply, { series, tookMs }), view.range);
  // The library paints with the next frame; the one after that begins when it has.
  requestAnimationFrame(() => requestAnimationFrame(() => performance.measure("painted", { start: started })));
  showNothing();
  showView();
  enableFor(chart.shown.bars);
  mover.reset();
  writeAddress();
  remember(reply);
  comparison.show(view.compare, drawn);
  say(`${nameOf(series)}: ${chart.shown.bars.length} bars, ${originOf(chart.shown)}.`);
}

function fail(problem, { isFresh }) {
  // A new fetch that failed has changed nothing: the bars that are drawn are still those of the form.
  const canGoBack = isFresh && series === drawn;
  if (!canGoBack) clear();
  retry = () => open(series, { isFresh });
  showProblem(problem, { canGoBack });
  const wrong = problem.code === "symbol_not_found" ? ["symbol"] : (problem.fields ?? []);
  markFields(wrong);
  if (wrong.includes("symbol") || wrong.includes("exchange")) symbolBox.suggest();
  // The alert itself is read out.
  say("");
  if (!("code" in problem)) throw problem;
}

function stop() {
  if (!request) return goBack();
  request.abort();
  request = null;
  element("stage").removeAttribute("aria-busy");
  if (queued) cancelFetch(queued, form.dataset.csrfToken);
  if (chart.shown) backToDrawn();
  else showEmpty();
  say(queued ? "Cancelled." : "No longer waiting. A fetch that has begun goes on, and its bars will be kept.");
}

/** Leave a problem for the chart, where there still is one. */
function goBack() {
  if (drawn) showNothing();
}

/** Make form and address say what is still drawn. */
function backToDrawn() {
  series = drawn;
  fillForm(series);
  writeAddress();
  showNothing();
}

/** Draw nothing: what was drawn is not what the form and the address say. */
function clear() {
  comparison.stop();
  drawn = null;
  chart.clear();
  hideLegend();
  clearFacts();
  enableFor(null);
  document.title = "Chart · Dataset service";
  element("chart").setAttribute("aria-label", "No bars");
}

// --- showing -----------------------------------------------------------------------------

function showView() {
  const { shown } = chart;
  document.title = `${shown.fullSymbol} ${shown.timeframeLabel} · Dataset service`;
  showLegend(shown, view);
  mover.pointAt(null);
  showFacts(shown, { url: ohlcUrl, query: series });
  element("chart").setAttribute("aria-label", `${shown.fullSymbol}, ${shown.timeframeLabel}, ${shown.bars.length} bars. Newest: ${barInWords(shown, shown.bars.length - 1)}`);
}

function change(changes) {
  // A box that a choice has filled says once more that it was changed, when it loses the focus.
  if (changes.compare === view.compare && "compare" in changes) return;
  // Two prices have nothing in common but their changes. Alone again, a price is as it was before.
  if (changes.compare && !view.compare) scaleAlone = view.scale;
  if ("compare" in changes) changes = { ...changes, scale: changes.compare ? "percent" : scaleAlone };
  view = { ...view, ...changes };
  fillControls(view);
  chart.setView(changes);
  keep("view", formatAddress({}, { ...view, scale: view.compare ? scaleAlone : view.scale, compare: "", range: null }));
  if (!chart.shown) return;
  showView();
  writeAddress();
  if ("compare" in changes) comparison.show(view.compare, drawn);
}

function keepRange(range) {
  // What is still drawn while other bars are on their way says nothing of those.
  if (request) return;
  view.range = range;
  writeAddress();
}

function writeAddress({ isNewEntry = false } = {}) {
  if (address() === location.search) return;
  if (isNewEntry) history.pushState(null, "", address());
  else history.replaceState(null, "", address());
}

function address() {
  return series ? formatAddress(series, view) : "";
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
  return `${exchange ? `${exchange}:` : ""}${symbol} ${labelOf(timeframe)}`;
}

// --- wiring ------------------------------------------------------------------------------

function choose({ symbol, exchange = "" }) {
  form.elements.symbol.value = symbol;
  form.elements.exchange.value = exchange;
  submit();
}

function chooseOther({ symbol, exchange = "" }) {
  change({ compare: exchange ? `${exchange}:${symbol}` : symbol });
}

function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else element("chart-card").requestFullscreen();
}

function watchPage() {
  watchForm(submit);
  watchControls(change);
  watchColors(() => [chart.refreshTheme(), chart.shown && showView()]);
  new SymbolBox({ input: element("compare"), list: element("compare-list"), url: symbolsUrl, onChoose: chooseOther, say });
  element("compare-open").addEventListener("click", () => [element("studies").showPopover(), element("compare").focus()]);
  element("busy-stop").addEventListener("click", stop);
  element("problem-retry").addEventListener("click", () => retry());
  element("problem-back").addEventListener("click", goBack);
  element("fetch-again").addEventListener("click", () => open(series, { isFresh: true }));
  element("save-png").addEventListener("click", () => savePicture(chart));
  element("newest").addEventListener("toggle", () => chart.shown && showRows(chart.shown));
  element("full-screen").hidden = !document.fullscreenEnabled;
  element("full-screen").addEventListener("click", toggleFullScreen);
  document.addEventListener("fullscreenchange", () => element("full-screen").setAttribute("aria-pressed", String(Boolean(document.fullscreenElement))));
  mover.watch(element("chart"), element("ranges"));
  watchKeys(KEYS);
  // A jump within the page, such as the skip link, is none to another chart.
  addEventListener("popstate", () => location.search !== address() && start());
}

const onChart = (action) => () => chart.shown && action();

const KEYS = {
  "/": () => element("symbol").focus(),
  "[": () => stepTimeframe(-1) && submit(),
  "]": () => stepTimeframe(1) && submit(),
  c: () => change({ type: nextType(view.type) }),
  l: () => change({ scale: toggledScale("log", view.scale) }),
  p: () => change({ scale: toggledScale("percent", view.scale) }),
  i: () => element("studies").togglePopover(),
  "+": () => mover.zoom(0.8),
  "=": () => mover.zoom(0.8),
  "-": () => mover.zoom(1.25),
  f: () => document.fullscreenEnabled && toggleFullScreen(),
  s: onChart(() => savePicture(chart)),
  t: switchTheme,
  Escape: stop,
};

/** Show what the address says. */
function start() {
  const said = readAddress();
  const remembered = said.series.symbol ? {} : readAddress(recall("view", "")).view;
  view = { ...VIEW_DEFAULTS, ...remembered, ...said.view };
  scaleAlone = view.compare ? VIEW_DEFAULTS.scale : view.scale;
  fillControls(view);
  view.studies = readStudies();
  chart.setView(view);
  if (said.series.symbol) {
    // A link says all that differs from the usual; what this browser did last is no part of it.
    return open({ ...SERIES_DEFAULTS, n_bars: form.elements.n_bars.defaultValue, ...said.series });
  }
  request?.abort();
  series = null;
  clear();
  fillForm(said.series);
  showSuggestions((name) => choose({ symbol: name }));
  showEmpty();
}

placePopovers();
watchPage();
start();
