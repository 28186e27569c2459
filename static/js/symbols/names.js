// The names of symbols and exchanges, as the service spells them.

/** Return a symbol or an exchange in the canonical spelling of the service: NFC, ASCII letters upper case. */
export function canonicalName(text) {
  const upper = text.trim().normalize("NFC").replace(/[a-z]/g, (letter) => letter.toUpperCase());
  return upper.normalize("NFC");
}

/** Return `[exchange, symbol]` of a typed symbol; `BINANCE:BTCUSDT` contains both. */
export function splitSymbol(symbol, exchange = "") {
  const typed = canonicalName(symbol);
  const match = /^([A-Z0-9_]{1,32}):(.+)$/.exec(typed);
  return match ? [match[1], match[2]] : [canonicalName(exchange), typed];
}

/** Whether the exchange is missing. A symbol with a colon, such as an expression, contains its exchanges. */
export function lacksExchange({ symbol, exchange }) {
  return symbol !== "" && exchange === "" && !symbol.includes(":");
}
