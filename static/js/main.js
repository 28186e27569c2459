// The chart page. The address holds the state; this module moves it between the address, the
// form, the API and the chart. A newer request always replaces an older one.

import { formatAddress, lacksExchange, readAddress, SERIES_DEFAULTS, splitSymbol, VIEW_DEFAULTS } from "./address.js";
import { isAbort } from "./api.js";
import { BarChart } from "./chart.js";
import { watchColors } from "./colors.js";
import { Comparison } from "./compare.js";
import { CoolDown } from "./cooldown.js";
import { enableFor, fillControls, nextType, readStudies, toggledScale, watchControls } from "./controls.js";
import { clearFacts, originOf, showFacts, showRows } from "./facts.js";
import { SymbolFinder } from "./finder.js";
import { toggleFullScreen, watchFullScreen } from "./fullscreen.js";
import { barInWords, hideLegend, showLegend } from "./legend.js";
import { Loader } from "./loading.js";
import { keep, keepRecent, recall } from "./memory.js";
import { Mover } from "./moving.js";
import { overdueFor, watchEnd } from "./newest.js";
import { showEmpty, showNothing, showProblem } from "./overlay.js";
import { fillForm, hasSymbol, isTyping, markFields, readForm, stepTimeframe, watchForm } from "./panel.js";
import { savePicture } from "./picture.js";
import { placePopovers } from "./popovers.js";
import { SymbolBox } from "./search.js";
import { watchKeys } from "./shortcuts.js";
import { labelOf, shownOf } from "./shown.js";
import { showSuggestions } from "./suggestions.js";
import { switchTheme } from "./theme.js";

const element = (name) => document.getElementById(name);
const form = element("fetch-form");
const { ohlcUrl, symbolsUrl, statusUrl, csrfToken } = form.dataset;

let series = null; // what is shown, or being loaded
let drawn = null; // what is shown
let view = { ...VIEW_DEFAULTS };
let scaleAlone = view.scale; // the price scale without a second symbol
let retry = null; // asks once more for what went wrong
const chart = new BarChart(element("chart"), { onCrosshair: (index) => mover.pointAt(index) });
const comparison = new Comparison(chart, { url: ohlcUrl, onChange: () => mover.refresh() });
const coolDown = new CoolDown({ url: statusUrl, say });
const loader = new Loader({ url: ohlcUrl, csrfToken, say, onStep: ({ error }) => error?.code === "rate_limited" && coolDown.look() });
const finder = new SymbolFinder(symbolsUrl);
const symbolBox = new SymbolBox({
  input: element("symbol"), list: element("symbol-list"), finder, getExchange: () => form.elements.exchange.value,
  onChoose: choose, onAsTyped: () => ask(readForm()), say,
});
const mover = new Mover(chart, { onRange: keepRange, say });

// --- loading -----------------------------------------------------------------------------

/** Load what the form says and put it into the address; without an exchange, find that first. */
function submit() {
  if (!hasSymbol()) return element("symbol").focus();
  const wanted = readForm();
  return lacksExchange(wanted) ? symbolBox.offer() : ask(wanted);
}

function ask(wanted) {
  view.range = null;
  return open(wanted, { isNewest: true, isNewEntry: true });
}

/**
 * Load and draw bars. `isFresh` fetches them in any case, `isNewest` where the cache's cannot be
 * the newest that there are.
 */
async function open(wanted, { isFresh = false, isNewest = false, isNewEntry = false } = {}) {
  series = wanted;
  fillForm(wanted);
  markFields([]);
  writeAddress({ isNewEntry });
  try {
    draw(await loader.load(wanted, { name: nameOf(wanted), isFresh }));
    if (isNewest) await renew();
  } catch (error) {
    if (!isAbort(error)) fail(error, { isFresh, isNewest });
  }
}

/** Load newer bars than those drawn, where there must be some. */
async function renew() {
  const seconds = overdueFor(chart.shown);
  if (seconds === null) return;
  try {
    draw(await loader.load(series, { name: nameOf(series), maxAgeS: seconds }));
  } catch (error) {
    if (!error.fields?.includes("use_cache")) throw error;
    // Pinned: an operator wants just these bars to stay.
    showNothing();
    say(error.message);
  }
}

function draw(reply) {
  // As the API spells it: two spellings of one symbol are one link.
  series = { ...series, symbol: reply.symbol, exchange: reply.exchange, timeframe: reply.timeframe };
  drawn = series;
  // What is being typed is meant for the next request.
  if (!isTyping()) fillForm(series);
  const started = performance.now();
  chart.show(shownOf(reply, { series }), view.range);
  // The library paints with the next frame; the one after that begins when it has.
  requestAnimationFrame(() => requestAnimationFrame(() => performance.measure("painted", { start: started })));
  showNothing();
  showView();
  watchEnd(chart.shown, () => [chart.refreshNewest(), showView()]);
  enableFor(chart.shown.bars);
  mover.reset();
  writeAddress();
  remember(reply);
  comparison.show(view.compare, drawn);
  say(`${nameOf(series)}: ${chart.shown.bars.length} bars, ${originOf(chart.shown)}.`);
}

function fail(problem, options) {
  retry = () => open(series, options);
  showProblem(problem, { kept: drawn ? nameOf(drawn) : "" });
  coolDown.look();
  const wrong = problem.code === "symbol_not_found" ? ["symbol"] : (problem.fields ?? []);
  markFields(wrong);
  if (wrong.includes("symbol") || wrong.includes("exchange")) symbolBox.suggest();
  // The alert itself is read out.
  say("");
  if (!("code" in problem)) throw problem;
}

function stop() {
  if (!loader.isBusy) return drawn && backToDrawn();
  const isCancelled = loader.stop();
  if (drawn) backToDrawn();
  else showEmpty();
  say(isCancelled ? "Cancelled." : "No longer waiting. A fetch that has begun goes on, and its bars will be kept.");
}

/** Make form and address say what is still drawn. */
function backToDrawn() {
  series = drawn;
  fillForm(series);
  markFields([]);
  writeAddress();
  showNothing();
}

/** Draw nothing. */
function clear() {
  comparison.stop();
  watchEnd(null);
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
  showFacts(shown, { url: ohlcUrl, query: drawn });
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
  // What is still drawn says nothing of other bars that are on their way, or could not be had.
  if (series !== drawn) return;
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

/** Take what the box of the second symbol says, though no match for it was found. */
function compareAsTyped() {
  const [exchange, symbol] = splitSymbol(element("compare").value);
  chooseOther({ symbol, exchange });
}

function watchPage() {
  watchForm(submit);
  watchControls(change);
  watchColors(() => [chart.refreshTheme(), chart.shown && showView()]);
  new SymbolBox({ input: element("compare"), list: element("compare-list"), finder, onChoose: chooseOther, onAsTyped: compareAsTyped, say });
  element("compare-open").addEventListener("click", () => [element("studies").showPopover(), element("compare").focus()]);
  element("busy-stop").addEventListener("click", stop);
  element("problem-retry").addEventListener("click", () => retry());
  element("problem-back").addEventListener("click", backToDrawn);
  element("fetch-again").addEventListener("click", () => open(drawn, { isFresh: true }));
  element("save-png").addEventListener("click", () => savePicture(chart));
  element("newest").addEventListener("toggle", () => chart.shown && showRows(chart.shown));
  watchFullScreen();
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
  f: toggleFullScreen,
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
  coolDown.look();
  if (said.series.symbol) {
    // A link says all that differs from the usual; what this browser did last is no part of it.
    return open({ ...SERIES_DEFAULTS, n_bars: form.elements.n_bars.defaultValue, ...said.series });
  }
  loader.drop();
  series = null;
  clear();
  fillForm(said.series);
  showSuggestions((name) => choose({ symbol: name }));
  showEmpty();
}

placePopovers();
document.addEventListener("visibilitychange", () => !document.hidden && coolDown.look());
watchPage();
start();
