// Values kept in the browser between visits. If its storage is blocked or full, nothing is kept.

const PREFIX = "datasets.";
const MAX_RECENT = 8;

/** Return the value kept under `name`, else `otherwise`. */
export function recall(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

/** Keep `value` under `name`. */
export function keep(name, value) {
  try {
    localStorage.setItem(PREFIX + name, JSON.stringify(value));
  } catch {
    // The page works without kept values.
  }
}

/** Return the symbols drawn last, newest first: `{symbol, exchange, description}`. */
export function recentSymbols() {
  const kept = recall("recent", []);
  return Array.isArray(kept) ? kept.filter((entry) => typeof entry?.symbol === "string") : [];
}

/** Put a symbol at the head of the recent ones. */
export function keepRecent(entry) {
  const isOther = ({ symbol, exchange }) => symbol !== entry.symbol || exchange !== entry.exchange;
  keep("recent", [entry, ...recentSymbols().filter(isOther)].slice(0, MAX_RECENT));
}
