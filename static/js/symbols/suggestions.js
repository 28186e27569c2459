// Suggested symbols: the symbols drawn last, else well-known ones.

import { recentSymbols } from "../shared/memory.js";

const WELL_KNOWN = ["BINANCE:BTCUSDT", "NASDAQ:AAPL", "OANDA:EURUSD", "SP:SPX"];

/** Show a button for each suggestion; `onChoose` gets the symbol's full name. */
export function showSuggestions(onChoose) {
  const recent = recentSymbols().map(({ symbol, exchange }) => (exchange ? `${exchange}:${symbol}` : symbol));
  const names = recent.length ? recent : WELL_KNOWN;
  document.getElementById("suggestions").replaceChildren(...names.map((name) => chip(name, onChoose)));
}

function chip(name, onChoose) {
  const button = document.createElement("button");
  [button.type, button.className, button.textContent] = ["button", "chip", name];
  button.addEventListener("click", () => onChoose(name));
  return button;
}
