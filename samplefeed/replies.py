"""Replies to the requests for bars; they also update the state of the series."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np

from samplefeed.bars import Bars, Request
from samplefeed.facts import update_mode
from samplefeed.feed import Feed
from samplefeed.memory import BoundedMemory
from samplefeed.rendering import RenderedBars, render
from samplefeed.reply import Address, Reply
from samplefeed.sessions import Resolution, Series
from samplefeed.timeframes import RefusedTimeframe, Timeframe, parse_timeframe

Answer = tuple[Bars, RenderedBars]

# The newest bars of a series whose corrections are sent.
_N_NEWEST = 3
# Complete replies of a stopped clock.
_answers: BoundedMemory[Answer] = BoundedMemory(
    max_bytes=64_000_000, size_of=lambda answer: answer[1].n_bytes + answer[0].rows.nbytes
)


def read_count(value: object) -> int | None:
    """Return the number of bars requested: a number, or `["bar_count", time, number]`."""
    if isinstance(value, list) and len(value) == 3:
        value = value[2]
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        return None
    return value


def read_range(text: object) -> tuple[int, int] | None:
    """Return the bounds of `r,<from>:<to>`, or None for any other text, which means all bars."""
    match = re.fullmatch(r"r,(-?\d+):(-?\d+)", text) if isinstance(text, str) else None
    return (int(match[1]), int(match[2])) if match else None


def symbol_answer(feed: Feed, address: Address, resolution: Resolution) -> bytes:
    """Return the answer to `resolve_symbol` alone."""
    reply = Reply(address, feed.clock)
    listing = resolution.listing
    if listing is None:
        return reply.symbol_error("invalid symbol")
    if listing.denied_group:
        return reply.symbol_error("permission denied", "group", listing.denied_group)
    return replace(reply, facts=listing.resolved(resolution.session)).resolved()


def refusal(
    feed: Feed, address: Address, resolution: Resolution, timeframe: str
) -> list[bytes] | None:
    """Return the refusal of a request, or None if the client may have the bars."""
    listing, parsed = resolution.listing, parse_timeframe(timeframe)
    reply = Reply(address, feed.clock)
    if listing is None or listing.denied_group:
        resolution.is_answered = True
        # No `series_completed` follows. A client without a deadline would never stop waiting.
        error = symbol_answer(feed, address, resolution)
        return [reply.loading(), error, reply.series_error("resolve error")]
    if isinstance(parsed, RefusedTimeframe):
        error = reply.series_error(parsed.reason, "undefined")
    elif isinstance(parsed, Timeframe) and not listing.supports(parsed):
        error = reply.series_error(f"unsupported resolution: {listing.full_symbol}, {timeframe}")
    else:
        return None
    resolved = [] if resolution.is_answered else [symbol_answer(feed, address, resolution)]
    resolution.is_answered = True
    return [reply.loading(), *resolved, error]


def new_series(
    feed: Feed, address: Address, resolution: Resolution, timeframe: str, n_bars: int
) -> Series:
    """Return a new series without bars. The listing and the timeframe have been checked."""
    parsed, listing = parse_timeframe(timeframe), resolution.listing
    if not isinstance(parsed, Timeframe) or listing is None:
        raise ValueError(f"{resolution.asked_for} at {timeframe} cannot be served.")
    request = Request(
        timeframe=parsed,
        n_bars=min(n_bars, feed.options.first_reply, feed.options.plan_window),
        now=feed.clock.now(),
        session="extended" if resolution.session == "extended" else "regular",
        adjustment=resolution.adjustment,
    )
    return Series(address.series, address.turnaround, resolution, listing, request, timeframe)


def first_reply(
    feed: Feed, address: Address, series: Series, n_bars: int, span: tuple[int, int] | None
) -> Reply:
    """Return the answer to `create_series`."""
    if span is not None:
        series.request = replace(series.request, n_bars=feed.options.plan_window)

    def make() -> Answer:
        bars = series.listing.bars(series.request)
        return bars, render(bars, series.key)

    is_stopped = feed.clock.frozen_at is not None
    bars, rendered = _answers.get((series.key, series.request), make) if is_stopped else make()
    if span is not None:
        chosen = (bars.rows[:, 0] >= span[0]) & (bars.rows[:, 0] <= span[1])
        is_forming = bars.is_forming and bool(chosen[-1:].any())
        rows, marks = bars.rows[chosen], bars.mark_times[chosen]
        bars = replace(bars, rows=rows, mark_times=marks, is_forming=is_forming)
        rendered = render(bars, (*series.key, span))
    series.n_sent = len(bars)
    series.last_index = len(bars) - 1
    if len(bars):
        series.first_time = float(bars.rows[0, 0])
        series.last_time = float(bars.rows[-1, 0])
    series.newest = _newest(bars)
    resolution = series.resolution
    # The plan or the beginning of history limits the reply.
    is_short = bars.is_beginning or len(bars) >= feed.options.plan_window
    is_first_answer, resolution.is_answered = not resolution.is_answered, True
    return Reply(
        address,
        feed.clock,
        facts=series.listing.resolved(resolution.session) if is_first_answer else None,
        bars=rendered,
        close_at=bars.close_at if len(bars) else None,
        mode=update_mode(series.listing.delay),
        is_limited=span is None and len(bars) < n_bars and is_short,
    )


def older_reply(feed: Feed, chart: str, series: Series, n_bars: int) -> list[bytes]:
    """Return the answer to `request_more_data`: older bars with negative indexes, or none."""
    address = Address(chart, series.series_id, series.turnaround, "")
    mode = update_mode(series.listing.delay)
    allowed = min(n_bars, feed.options.plan_window - series.n_sent)
    reply = Reply(address, feed.clock, mode=mode, is_limited=allowed < n_bars)
    if allowed <= 0 or series.first_time is None:
        return reply.payloads()
    request = replace(series.request, n_bars=allowed, before=series.first_time)
    bars = series.listing.bars(request)
    series.first_index -= len(bars)
    series.n_sent += len(bars)
    series.first_time = float(bars.rows[0, 0]) if len(bars) else series.first_time
    reply = replace(
        reply,
        bars=render(bars, series.key, series.first_index),
        n_older=len(bars),
        is_limited=len(bars) < n_bars,
    )
    if series.resent:
        reply = reply.with_rows([*bars.as_lists(), *series.resent], series.first_index)
        series.resent = []
    return reply.payloads()


def live_reply(feed: Feed, series: Series, reply: Reply) -> Reply | None:
    """Return the bars from the first changed or new one on; None where nothing has changed.

    Corrections of the newest bars that were sent count as changes.
    """
    request = replace(series.request, n_bars=10, now=feed.clock.now(), before=None)
    # The listing as it is now: the history can have changed since the series was opened.
    listing = feed.find(series.resolution.asked_for) or series.listing
    bars = listing.bars(request)
    oldest = min(series.newest, default=series.last_time)
    places = [
        place
        for place, row in enumerate(bars.rows.tolist())
        if row[0] >= oldest and series.newest.get(row[0]) != tuple(row)
    ]
    if not places:
        return None
    first = places[0]
    news = replace(bars, rows=bars.rows[first:], mark_times=bars.mark_times[first:])
    last_known = int(np.searchsorted(bars.rows[:, 0], series.last_time))
    first_index = max(series.last_index, 0) + first - last_known
    series.last_index = first_index + len(news) - 1
    series.last_time = float(news.rows[-1, 0])
    series.newest = _newest(bars)
    rendered = render(news, (*series.key, listing.cache_key), first_index)
    return replace(reply, bars=rendered, close_at=bars.close_at)


def _newest(bars: Bars) -> dict[float, tuple[float, ...]]:
    return {row[0]: tuple(row) for row in bars.rows[-_N_NEWEST:].tolist()}


def range_reply(feed: Feed, parameters: list[Any], series: Series, span: str) -> list[bytes]:
    """Return the answer to a range of bars that the client already has, without bars."""
    address = Address(str(parameters[0]), series.series_id, str(parameters[2]), "")
    reply = Reply(address, feed.clock, mode=update_mode(series.listing.delay))
    shown = [series.series_id, address.turnaround, series.first_index, series.last_index, span]
    frames = [reply.message("series_timeframe", *shown, flag) for flag in (False, True)]
    return [reply.loading(), *frames, reply.completed()]
