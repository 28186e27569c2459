// The drawings of each symbol: in the page, and in the browser's storage between visits.

import { SHAPES } from "./shapes.js";

const PREFIX = "datasets.drawings.";
const VERSION = 1;
export const MAX_TEXT = 200;
const MAX_DRAWINGS = 200; // of one symbol
const MAX_SYMBOLS = 200;
const UNTIL_RELOAD = "The drawings stay on this page until you close it, and are not kept.";
const FULL = `The browser's storage for this site is full. ${UNTIL_RELOAD} Remove drawings of other symbols, then change a drawing here.`;
const FORBIDDEN = `The browser forbids this site to store data. ${UNTIL_RELOAD} Allow storage for this site in the browser's settings to keep them.`;
const NEWER = `The stored drawings of this symbol are of a newer version of the page. They are left as they are. ${UNTIL_RELOAD} Reload the page.`;

const lists = new Map(); // symbol → drawings; what the page shows, also if it cannot be stored
const locked = new Set(); // symbols whose stored drawings are of a newer version
const listeners = new Set();

/**
 * Return the drawings of a symbol, the undermost first.
 *
 * Each is `{id, kind, points, text}`: `points` are `{time, price}`, the time in UNIX seconds (UTC), the price in the
 * symbol's own unit on every scale; `text` only for the kind `text`. The list must not be changed.
 */
export function drawingsOf(symbolKey) {
  if (!lists.has(symbolKey)) lists.set(symbolKey, read(symbolKey));
  return lists.get(symbolKey);
}

/** Replace the drawings of a symbol; return why they are not stored, or an empty text. Entries that are no drawings are left out. */
export function replaceDrawings(symbolKey, list) {
  lists.set(symbolKey, list.filter(isDrawing));
  const problem = write(symbolKey, lists.get(symbolKey));
  tell(symbolKey);
  return problem;
}

/** Call `onChange(symbolKey)` when the drawings of a symbol are replaced, also by another tab. */
export function watchDrawings(onChange) {
  listeners.add(onChange);
}

addEventListener("storage", ({ key }) => {
  if (!key?.startsWith(PREFIX)) return;
  const symbolKey = key.slice(PREFIX.length);
  lists.delete(symbolKey);
  tell(symbolKey);
});

function tell(symbolKey) {
  for (const listener of listeners) listener(symbolKey);
}

function read(symbolKey) {
  try {
    const kept = JSON.parse(localStorage.getItem(PREFIX + symbolKey));
    if (kept?.version > VERSION) locked.add(symbolKey);
    return kept?.version === VERSION ? kept.drawings.filter(isDrawing) : [];
  } catch {
    // The storage is forbidden, or its text is no drawing. The next change says which.
    return [];
  }
}

function write(symbolKey, list) {
  if (locked.has(symbolKey)) return NEWER;
  if (list.length > MAX_DRAWINGS) return `At most ${MAX_DRAWINGS} drawings of one symbol are kept. ${UNTIL_RELOAD} Remove some.`;
  try {
    if (!list.length) localStorage.removeItem(PREFIX + symbolKey);
    else if (!hasRoom(symbolKey)) return `Drawings of at most ${MAX_SYMBOLS} symbols are kept. ${UNTIL_RELOAD} Remove those of another symbol.`;
    else localStorage.setItem(PREFIX + symbolKey, JSON.stringify({ version: VERSION, drawings: list }));
    return "";
  } catch (error) {
    return error.name === "QuotaExceededError" ? FULL : FORBIDDEN;
  }
}

function hasRoom(symbolKey) {
  const others = Object.keys(localStorage).filter((name) => name.startsWith(PREFIX) && name !== PREFIX + symbolKey);
  return others.length < MAX_SYMBOLS;
}

function isDrawing(entry) {
  const shape = Object.hasOwn(SHAPES, entry?.kind ?? "") ? SHAPES[entry.kind] : null;
  if (!shape || shape.isKept === false || typeof entry.id !== "string" || entry.points?.length !== shape.nPoints) return false;
  const hasText = entry.kind !== "text" || (typeof entry.text === "string" && entry.text.length > 0 && entry.text.length <= MAX_TEXT);
  return hasText && entry.points.every((point) => Number.isFinite(point?.time) && Number.isFinite(point?.price));
}
