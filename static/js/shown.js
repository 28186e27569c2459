// What the page knows of the bars that it shows: the API's reply, in the page's own words.

import { barsOf, pricesOf } from "./bars.js";

/** Return the bars of `reply` with all that is said of them; `series` is what was asked for. */
export function shownOf(reply, { series }) {
  const bars = barsOf(reply);
  return {
    bars,
    ...pricesOf(reply.instrument, bars),
    instrument: reply.instrument,
    timeframe: reply.timeframe,
    timeframeLabel: labelOf(reply.timeframe),
    fullSymbol: reply.exchange ? `${reply.exchange}:${reply.symbol}` : reply.symbol,
    source: reply.source,
    dataset: reply.dataset,
    fetchedAt: reply.fetched_at,
    isNew: reply.isNew,
    tookMs: reply.tookMs,
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

/** Return a timeframe as its button writes it: minutes say so. */
export function labelOf(timeframe) {
  return /\d$/.test(timeframe) ? `${timeframe}m` : timeframe;
}
