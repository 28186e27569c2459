// The state of the chart: the bars shown and their facts, made from the API's reply.

import { barsOf, pricesOf } from "./bars.js";
import { labelOf } from "./timeframes.js";

/** Return the bars of `reply` and their facts; `series` holds the parameters of the request. */
export function shownOf(reply, { series }) {
  const bars = barsOf(reply);
  return {
    bars,
    ...pricesOf(reply.instrument, bars),
    instrument: reply.instrument,
    timeframe: reply.timeframe,
    timeframeLabel: labelOf(reply.timeframe),
    // Only for a timeframe that TradingView does not send.
    madeFrom: reply.made_from,
    fullSymbol: reply.exchange ? `${reply.exchange}:${reply.symbol}` : reply.symbol,
    source: reply.source,
    dataset: reply.dataset,
    fetchedAt: reply.fetched_at,
    isNew: reply.isNew,
    tookMs: reply.tookMs,
    isStale: reply.stale === true,
    isForming: reply.last_bar_final === false,
    // Closed bars that are not held, as of this reply; and from when on there are newer ones.
    lagBars: reply.lagBars,
    completeUntil: reply.complete_until,
    // Null while the market is open.
    opensAt: reply.opensAt,
    isLimited: reply.is_limited === true,
    lastBarFinal: reply.last_bar_final,
    session: reply.session ?? series.session,
    adjustment: reply.adjustment ?? series.adjustment,
    contentHash: reply.content_hash,
    // A range has no number of bars.
    nBars: series.start || series.end ? 0 : Number(series.n_bars),
    range: series.start || series.end ? { start: series.start, end: series.end } : null,
    // Of a range: which bars are held, and which times no fetch has covered.
    archive: reply.series ?? null,
    coversStart: reply.covers_start,
    heldFrom: reply.held_from,
    heldThrough: reply.held_through,
    holes: reply.holes ?? [],
    why: reply.why_held_from ?? "",
    symbol: reply.symbol,
    exchange: reply.exchange,
  };
}

/** Return the name of a series: `BINANCE:BTCUSDT 1h`. */
export function nameOf({ symbol, exchange, timeframe }) {
  return `${exchange ? `${exchange}:` : ""}${symbol} ${labelOf(timeframe)}`;
}
