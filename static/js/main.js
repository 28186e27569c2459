// The chart page. The address holds the state; this module keeps the address, the form and the chart
// in step, and loads the bars. A newer request replaces an older one.

import { AlertPanel } from "./alerts/panel.js";
import { Archive } from "./bars/archive.js";
import { nameOf, shownOf } from "./bars/chart-state.js";
import { emptyRange, hasRange } from "./bars/coverage.js";
import { Freshness } from "./bars/freshness.js";
import { LiveBars } from "./bars/live-bars.js";
import { closedUntil } from "./bars/market.js";
import { overdueFor, watchEnd } from "./bars/newest.js";
import { BarChart } from "./chart/chart.js";
import { barInWords, hideLegend, showLegend } from "./chart/legend.js";
import { formatAddress, readAddress, VIEW_DEFAULTS } from "./page/address.js";
import { mayDragLines, shareClicks } from "./page/clicks.js";
import { Comparison } from "./page/compare.js";
import { enableFor, fillControls, nextType, toggledScale, watchControls } from "./page/controls.js";
import { CoolDown } from "./page/cooldown.js";
import { clearFacts, originOf, showFacts, showRows } from "./page/facts.js";
import { chooseTimeframe, fillForm, hasSymbol, isTyping, markFields, offerTimeframe, readForm, stepTimeframe, watchForm } from "./page/form.js";
import { GridLink } from "./page/frame.js";
import { toggleFullScreen, watchFullScreen } from "./page/fullscreen.js";
import { MissingBars } from "./page/gap-report.js";
import { Loader } from "./page/loading.js";
import { Mover } from "./page/navigation.js";
import { showEmpty, showNothing, showProblem } from "./page/overlay.js";
import { watchKeys } from "./page/shortcuts.js";
import { isAbort } from "./shared/api.js";
import { watchColors } from "./shared/colors.js";
import { keep, keepRecent, recall } from "./shared/memory.js";
import { linkedSeries } from "./shared/parameters.js";
import { placePopovers } from "./shared/popovers.js";
import { AnchorPicker } from "./studies/anchors.js";
import { StudyMenu } from "./studies/menu.js";
import { SymbolFinder } from "./symbols/finder.js";
import { lacksExchange, splitSymbol } from "./symbols/names.js";
import { SymbolBox } from "./symbols/search.js";
import { showSuggestions } from "./symbols/suggestions.js";
import { WatchPanel } from "./symbols/watchlist.js";
import { switchTheme } from "./theme.js";

const element = (name) => document.getElementById(name);
const form = element("fetch-form");
const { ohlcUrl, seriesUrl, symbolsUrl, statusUrl, csrfToken } = form.dataset;

let series = null; // the series that is shown or being loaded
let drawn = null; // the series that is shown
let view = { ...VIEW_DEFAULTS };
let scaleAlone = view.scale; // the price scale without a second symbol
let retry = null; // repeats the request that failed
let loading = null; // of the parts in `later.js`
let drawings = null; // one of these parts
const chart = new BarChart(element("chart"), { onCrosshair: (index) => mover.readerPointsAt(index) });
const grid = new GridLink(element("chart"), { onTime: (time) => chart.shown && mover.pointAt(chart.pointAtTime(time)), onFollow: follow });
const comparison = new Comparison(chart, { url: ohlcUrl, archivesUrl: seriesUrl, onChange: () => mover.refresh() });
const missing = new MissingBars(chart, { onChange: () => mover.refresh(), say });
const coolDown = new CoolDown({ url: statusUrl, say });
const loader = new Loader({ url: ohlcUrl, csrfToken, say, onStep: ({ error }) => error?.code === "rate_limited" && coolDown.look() });
const finder = new SymbolFinder(symbolsUrl);
const symbolBox = new SymbolBox({
  input: element("symbol"), list: element("symbol-list"), finder, getExchange: () => form.elements.exchange.value,
  onChoose: choose, onAsTyped: () => ask(readForm()), say,
});
const mover = new Mover(chart, { onRange: keepRange, onPoint: (index) => grid.shareTime(chart.shown?.bars.time[index] ?? null), say });
const archive = new Archive(chart, { url: seriesUrl, onAdded: () => [showView(), missing.show(view.gaps), comparison.extend()], say });

const anchors = new AnchorPicker(chart, { stage: element("chart"), getPointed: () => mover.pointed });
const studyMenu = new StudyMenu({ onChange: (studies) => change({ studies }), chart, anchors });
const watching = new WatchPanel({ onChoose: choose });
const freshness = new Freshness({ url: seriesUrl, onUpdate: update });
const alerts = new AlertPanel(chart, { csrfToken, onChoose: choose, say });
const liveBars = new LiveBars(chart, { url: seriesUrl, onBars: () => mover.refresh(), onReply: (reply) => alerts.notice(reply.alerts_at), onComplete: (isComplete) => freshness.follow(isComplete ? null : chart.shown) });

// --- loading -----------------------------------------------------------------------------

/** Load the series in the form and write it into the address; without an exchange, find the exchange first. */
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
 * Load and draw bars. `isFresh` always fetches them again; `isNewest` does so if newer bars must
 * exist.
 */
async function open(wanted, { isFresh = false, isNewest = false, isNewEntry = false } = {}) {
  series = wanted;
  fillForm(wanted);
  markFields([]);
  writeAddress({ isNewEntry });
  try {
    const reply = await loader.load(wanted, { name: nameOf(wanted), isFresh });
    if (!reply.count && hasRange(wanted)) throw emptyRange(reply, wanted);
    draw(reply);
    if (isNewest && !wanted.end) await renew(overdueFor(chart.shown));
  } catch (error) {
    if (!isAbort(error)) fail(error, { isFresh, isNewest });
  }
}

/** Fetch the bars again if they are older than `seconds`; null where no newer bars must exist. */
async function renew(seconds) {
  if (seconds === null) return;
  try {
    draw(await loader.load(series, { name: nameOf(series), maxAgeS: seconds }));
  } catch (error) {
    if (!error.fields?.includes("use_cache")) throw error;
    // The dataset is pinned: it may not be replaced.
    showNothing();
    say(error.message);
  }
}

/** Load the bars up to the newest one; `needsFetch` says that the service does not hold them yet. */
async function update({ needsFetch }) {
  if (!needsFetch) return open(drawn);
  backToDrawn();
  try {
    await renew(0);
  } catch (error) {
    if (!isAbort(error)) fail(error, {});
  }
}

function draw(reply) {
  // In the API's spelling, so that two spellings of one symbol give one link.
  series = { ...series, symbol: reply.symbol, exchange: reply.exchange, timeframe: reply.timeframe };
  drawn = series;
  offerTimeframe(reply.timeframe);
  // Text that is being typed belongs to the next request.
  if (!isTyping()) fillForm(series);
  const started = performance.now();
  chart.show(shownOf(reply, { series }), view.range);
  // The library paints with the next frame; the frame after it begins when the painting is done.
  requestAnimationFrame(() => requestAnimationFrame(() => [performance.measure("painted", { start: started }), loadOthers()]));
  drawings?.follow();
  showNothing();
  showView();
  watchEnd(chart.shown, () => [chart.refreshMarks(), showView()]);
  freshness.follow(chart.shown);
  enableFor(chart.shown.bars);
  mover.reset();
  writeAddress();
  remember(reply);
  watching.mark(series);
  grid.shareSeries(series, nameOf(series));
  alerts.mark();
  comparison.show(view.compare, drawn);
  archive.follow();
  if ("live" in form.dataset) liveBars.follow();
  say(`${nameOf(series)}: ${[`${chart.shown.bars.length} bars`, originOf(chart.shown), closedUntil(chart.shown)].filter(Boolean).join(", ")}.`);
  missing.show(view.gaps);
}

function fail(problem, options) {
  retry = () => open(series, options);
  showProblem(problem, { kept: drawn ? nameOf(drawn) : "" });
  coolDown.look();
  loadOthers();
  const wrong = problem.code === "symbol_not_found" ? ["symbol"] : (problem.fields ?? []);
  markFields(wrong);
  if (wrong.includes("symbol") || wrong.includes("exchange")) symbolBox.suggest();
  // Screen readers read the alert itself.
  say("");
  if (!("code" in problem)) throw problem;
}

function stop() {
  if (!loader.isBusy) return drawn && backToDrawn();
  const isCancelled = loader.stop();
  if (drawn) backToDrawn();
  else showEmpty();
  say(isCancelled ? "Cancelled." : "No longer waiting. The fetch has begun, so it continues, and its bars will be stored.");
}

/** Set form and address back to the series that is drawn. */
function backToDrawn() {
  series = drawn;
  fillForm(series);
  markFields([]);
  writeAddress();
  showNothing();
}

/** Clear the chart and everything about its bars. */
function clear() {
  for (const loading of [comparison, archive, liveBars]) loading.stop();
  watchEnd(null);
  freshness.follow(null);
  drawn = null;
  chart.clear();
  drawings?.follow();
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
  // After a choice from the list, the box fires `change` a second time when it loses the focus.
  if (changes.compare === view.compare && "compare" in changes) return;
  // Two symbols are compared by their changes in percent. Without the second symbol the old scale returns.
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
  if ("gaps" in changes) missing.show(view.gaps);
}

function keepRange(range) {
  // The range of the drawn bars means nothing for a series that is being loaded or has failed.
  if (series !== drawn) return;
  view.range = range;
  writeAddress();
}

function writeAddress({ isNewEntry = false } = {}) {
  grid.shareAddress(address());
  if (address() === location.search) return;
  if (isNewEntry) history.pushState(null, "", address());
  else history.replaceState(null, "", address());
}

function address() {
  return series ? formatAddress(series, view) : "";
}

function remember(reply) {
  keepRecent({ symbol: reply.symbol, exchange: reply.exchange, description: reply.instrument?.description ?? "" });
  const { symbol, exchange, start, end, ...choices } = series;
  keep("series", choices);
}

function say(text) {
  if (element("status").textContent !== text) element("status").textContent = text;
}

// --- wiring ------------------------------------------------------------------------------

function choose({ symbol, exchange = "" }) {
  form.elements.symbol.value = symbol;
  form.elements.exchange.value = exchange;
  submit();
}

/** Show what another chart of the grid shows: its symbol, its timeframe, or both. */
function follow(wanted) {
  if (series && Object.keys(wanted).every((name) => series[name] === wanted[name])) return;
  if (wanted.timeframe) chooseTimeframe(wanted.timeframe);
  if (series) ask({ ...series, ...wanted });
  // An empty chart stays empty until it gets a symbol.
  else if (wanted.symbol) choose(wanted);
}

function chooseOther({ symbol, exchange = "" }) {
  change({ compare: exchange ? `${exchange}:${symbol}` : symbol });
}

/** Compare with the typed symbol, although the search has found no match. */
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
  element("save-png").addEventListener("click", savePicture);
  element("newest").addEventListener("toggle", () => chart.shown && showRows(chart.shown));
  shareClicks(chart, { anchors, alerts });
  watchFullScreen();
  // The chart has its width at once, although the tools are loaded later.
  element("drawing-tools").hidden = recall("drawing-tools", false) !== true;
  mover.watch(element("chart"), element("ranges"));
  archive.watch(element("chart"));
  watchKeys(KEYS);
  // A jump within the page, such as the skip link, does not change the chart.
  addEventListener("popstate", () => location.search !== address() && start());
}

/** Load the other parts of the page once; the first candles do not wait for them. */
function loadOthers() {
  loading ??= import("./later.js").then(({ Drawings, LayoutMenu, LineDrag, drawingKeys, watchCopyButtons, watchDrawings }) => {
    drawings = new Drawings(chart, { element: element("chart"), say });
    watchDrawings(drawings, { stage: element("stage"), chart: element("chart") });
    Object.assign(KEYS, drawingKeys(drawings));
    drawings.follow();
    const isFree = () => mayDragLines({ anchors, drawings });
    new LineDrag(chart, { lines: alerts.lines, element: element("chart"), isFree, onDrop: (id, price) => alerts.move(id, price), say }).watch();
    // A chart in a frame has no menu of layouts.
    if (element("layouts")) new LayoutMenu({ layout: () => ({ charts: [address().slice(1)], isSameSymbol: false, isSameTimeframe: false }) }).watchNumbers();
    watchCopyButtons();
    element("drawing-open").disabled = false;
  });
  // Without these lines the browser finds a module only after the module that imports it.
  document.head.append(element("later-modules").content);
}

/** Save the chart as an image; the module is loaded when it is needed. */
async function savePicture() {
  (await import("./chart/picture.js")).savePicture(chart);
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
  s: onChart(savePicture),
  t: switchTheme,
  w: () => watching.toggle(),
  ...grid.keys,
  a: () => alerts.toggle(),
  Escape: () => anchors.stop() || stop(),
};

/** Show the chart of the address. */
function start() {
  const said = readAddress();
  const remembered = said.series.symbol ? {} : readAddress(recall("view", "")).view;
  view = { ...VIEW_DEFAULTS, ...remembered, ...said.view };
  scaleAlone = view.compare ? VIEW_DEFAULTS.scale : view.scale;
  fillControls(view);
  studyMenu.fill(view.studies);
  chart.setView(view);
  coolDown.look();
  if (said.series.symbol) {
    // A link contains every difference from the defaults, so this browser's last choices are ignored.
    return open(linkedSeries(said.series, form.elements.n_bars.defaultValue));
  }
  loader.drop();
  series = null;
  clear();
  fillForm(said.series);
  showSuggestions((name) => choose({ symbol: name }));
  showEmpty();
  loadOthers();
}

placePopovers();
document.addEventListener("visibilitychange", () => !document.hidden && coolDown.look());
watchPage();
start();
