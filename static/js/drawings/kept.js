// The drawings of each symbol: in the page, and in the browser's storage between visits.

import { isSame } from "./merge.js";
import { SHAPES } from "./shapes.js";

// A signed-in user has entries of their own, and the service has the drawings too (`sync.js`).
const { user } = document.getElementById("drawing-tools").dataset;
const UNSIGNED = "datasets.drawings.";
const PREFIX = user ? `datasets.drawings-of.${user}.` : UNSIGNED;
const VERSION = 1;
export const MAX_TEXT = 200;
const MAX_DRAWINGS = 200; // of one symbol
const MAX_SYMBOLS = 200;
const UNTIL_RELOAD = "The drawings stay on this page until you close it, and are not kept.";
const FULL = `The browser's storage for this site is full. ${UNTIL_RELOAD} Remove drawings of other symbols, then change a drawing here.`;
const FORBIDDEN = `The browser forbids this site to store data. ${UNTIL_RELOAD} Allow storage for this site in the browser's settings to keep them.`;
const NEWER = `The stored drawings of this symbol are of a newer version of the page. They are left as they are. ${UNTIL_RELOAD} Reload the page.`;

const copies = new Map(); // symbol → copy; what the page shows, also if it cannot be stored
const locked = new Set(); // symbols whose stored drawings are of a newer version
const listeners = new Set();

/**
 * Return the drawings of a symbol, the undermost first.
 *
 * Each is `{id, kind, points, text}`: `points` are `{time, price}`, the time in UNIX seconds (UTC), the price in the
 * symbol's own unit on every scale; `text` only for the kind `text`. The list must not be changed.
 */
export function drawingsOf(symbolKey) {
  return copyOf(symbolKey).drawings;
}

/** Replace the drawings of a symbol; return why they are not stored, or an empty text. Entries that are no drawings are left out. */
export function replaceDrawings(symbolKey, list) {
  return keepCopy(symbolKey, { ...copyOf(symbolKey), drawings: list.filter(isDrawing) });
}

/**
 * Return `{drawings, base, etag}` of a symbol: the service's list `base`, from which `drawings` began, and the tag
 * of its version. Before anything is loaded, and while the service has no drawings, they are an empty list and null.
 */
export function copyOf(symbolKey) {
  if (!copies.has(symbolKey)) copies.set(symbolKey, read(symbolKey));
  return copies.get(symbolKey);
}

/** Replace all of `copyOf`; return why it is not stored, or an empty text. */
export function keepCopy(symbolKey, copy) {
  const before = drawingsOf(symbolKey);
  copies.set(symbolKey, copy);
  const problem = write(symbolKey, copy);
  tell(symbolKey, before);
  return problem;
}

/** Give the user the drawings that were made in this browser without sign-in. The first user who signs in gets them. */
export function adoptUnsigned(symbolKey) {
  const { drawings } = parsed(UNSIGNED + symbolKey);
  if (!user || !drawings.length) return;
  const own = drawingsOf(symbolKey);
  const ids = new Set(own.map(({ id }) => id));
  if (!replaceDrawings(symbolKey, [...own, ...drawings.filter(({ id }) => !ids.has(id))])) localStorage.removeItem(UNSIGNED + symbolKey);
}

/** Call `onChange(symbolKey, before)` when the drawings of a symbol are replaced, also by another tab; `before` is the list until then. */
export function watchDrawings(onChange) {
  listeners.add(onChange);
}

/** Whether the page can draw the entry. */
export function isDrawing(entry) {
  const shape = Object.hasOwn(SHAPES, entry?.kind ?? "") ? SHAPES[entry.kind] : null;
  if (!shape || shape.isKept === false || typeof entry.id !== "string" || entry.points?.length !== shape.nPoints) return false;
  const hasText = entry.kind !== "text" || (typeof entry.text === "string" && entry.text.length > 0 && entry.text.length <= MAX_TEXT);
  return hasText && entry.points.every((point) => Number.isFinite(point?.time) && Number.isFinite(point?.price));
}

addEventListener("storage", ({ key }) => {
  if (!key?.startsWith(PREFIX)) return;
  const symbolKey = key.slice(PREFIX.length);
  const before = copies.get(symbolKey)?.drawings ?? [];
  copies.delete(symbolKey);
  tell(symbolKey, before);
});

function tell(symbolKey, before) {
  for (const listener of listeners) listener(symbolKey, before);
}

function read(symbolKey) {
  const { drawings, base, etag, isNewer } = parsed(PREFIX + symbolKey);
  if (isNewer) locked.add(symbolKey);
  return { drawings, base: base ?? (etag ? drawings : []), etag };
}

function parsed(key) {
  try {
    const kept = JSON.parse(localStorage.getItem(key));
    if (kept?.version === VERSION) return { drawings: kept.drawings.filter(isDrawing), base: kept.base?.filter(isDrawing), etag: kept.etag ?? null };
    return { drawings: [], etag: null, isNewer: kept?.version > VERSION };
  } catch {
    // The storage is forbidden, or its text is no drawing. The next change says which.
    return { drawings: [], etag: null };
  }
}

function write(symbolKey, { drawings, base, etag }) {
  if (locked.has(symbolKey)) return NEWER;
  if (drawings.length > MAX_DRAWINGS) return `At most ${MAX_DRAWINGS} drawings of one symbol are kept. ${UNTIL_RELOAD} Remove some.`;
  // The list of the service is left out where it is the same.
  const served = etag ? { etag, base: isSame(base, drawings) ? undefined : base } : {};
  try {
    if (!drawings.length && !base.length) localStorage.removeItem(PREFIX + symbolKey);
    else if (!hasRoom(symbolKey)) return `Drawings of at most ${MAX_SYMBOLS} symbols are kept. ${UNTIL_RELOAD} Remove those of another symbol.`;
    else localStorage.setItem(PREFIX + symbolKey, JSON.stringify({ version: VERSION, drawings, ...served }));
    return "";
  } catch (error) {
    return error.name === "QuotaExceededError" ? FULL : FORBIDDEN;
  }
}

function hasRoom(symbolKey) {
  const others = Object.keys(localStorage).filter((name) => name.startsWith(PREFIX) && name !== PREFIX + symbolKey);
  return others.length < MAX_SYMBOLS;
}
