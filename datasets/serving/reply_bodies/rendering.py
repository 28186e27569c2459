"""Rendering of one reply: the dataset's bars that it holds, their coverage, and its envelope."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from datasets import catalog
from datasets.bars import BarLength
from datasets.bars.coverage import Coverage, coverage_of
from datasets.calendars import Calendar, bar_days
from datasets.formats import FORMATS, choose_columns
from datasets.models import Dataset
from datasets.research.resampling import make_table
from datasets.serving.bars_request import Answer, BarsRequest, MadeBars
from datasets.serving.reply_bodies.body_cache import Rendered, with_mark


def _held(answer: Answer, request: BarsRequest) -> pa.Table:
    """Return the newest `n_bars` bars of the dataset; without the forming bar when `closed` is set."""
    dataset = answer.dataset
    table = catalog.read(dataset)
    table = table.slice(max(0, table.num_rows - request.key.n_bars))
    if request.made is not None:
        facts = {
            "key": dataset.key.as_dict(),
            "instrument": dataset.instrument,
            "fetched_at": dataset.fetched_at.isoformat(),
            "last_time": dataset.last_time.isoformat(),
            "last_bar_final": dataset.last_bar_final,
        }
        table = make_table(table, facts, request.made.length)
        return table.slice(max(0, table.num_rows - request.made.n_bars))
    if request.closed and dataset.last_bar_final is False and table.num_rows:
        table = table.slice(0, table.num_rows - 1)
    return table


def _part_of(table: pa.Table, request: BarsRequest) -> pa.Table:
    """Return the bars that open at or after `start` and before `end`."""
    if request.start is not None:
        table = table.filter(pc.greater_equal(table["time"], _instant(request.start)))
    if request.end is not None:
        table = table.filter(pc.less(table["time"], _instant(request.end)))
    return table


def _instant(moment: datetime) -> pa.Scalar[Any]:
    # Microseconds: bounds may be finer than the milliseconds of the bars, and must not be rounded.
    return pa.scalar(moment.astimezone(UTC), type=pa.timestamp("us", tz="UTC"))


def render_plain(answer: Answer, request: BarsRequest) -> Rendered:
    """Return the reply's body, not gzipped, with its tag and headers.

    Raises `StoreError` when the dataset's file has become unreadable.
    """
    held = _held(answer, request)
    start_ms = None if request.start is None else math.ceil(request.start.timestamp() * 1000)
    covered = coverage_of(held["time"].cast(pa.int64()).to_numpy(), start_ms)
    part = _part_of(held, request)
    # A made bar is always whole.
    is_made = request.made is not None and bool(part.num_rows)
    last_bar_final = True if is_made else _is_last_final(part, answer.dataset)
    headers = _headers_of(covered, last_bar_final)
    bars = FORMATS[request.format].render(part.select(choose_columns(request.fields)))
    if not FORMATS[request.format].has_envelope:
        return Rendered(bars, _tag(bars), is_gzip=False, headers=headers)
    more: dict[str, Any] = {}
    if request.format == "columns":
        made = request.made
        length = made.length if made else BarLength.parse(answer.dataset.timeframe)
        more["trading_days"] = _trading_days(part, answer.dataset, length)
    envelope = partial(_enveloped, made=request.made, more=more)
    body = envelope(answer, covered, last_bar_final, part.num_rows, bars)
    if answer.is_cached:
        return Rendered(body, _tag(body), is_gzip=False, headers=headers)
    # The tag comes from the body with `"cached": true`. So the client's next request, which the
    # cache answers, gets 304 although the two bodies differ in that key.
    as_cached = replace(answer, is_cached=True)
    cached = envelope(as_cached, covered, last_bar_final, part.num_rows, bars)
    return Rendered(body, with_mark(_tag(cached)), is_gzip=False, headers=headers)


def _trading_days(table: pa.Table, dataset: Dataset, length: BarLength) -> dict[str, Any]:
    """Return the trading days of bars of `length`, in order: the page's labels, breaks and VWAP follow them.

    `first` are the positions of the days' first bars in the reply, and `date` the trading
    dates, `YYYY-MM-DD`. Where the exchange's hours are not known, dates are those of its clock.
    """
    times = table["time"].combine_chunks().view(pa.int64()).to_numpy()
    dates = bar_days(times, Calendar.of(dataset.instrument), length).dates
    first = np.flatnonzero(np.diff(dates, prepend=dates[:1] - 1))
    days = np.datetime_as_string(dates[first].view("M8[D]"))
    return {"first": first.tolist(), "date": days.tolist()}


def _headers_of(covered: Coverage, last_bar_final: bool | None) -> tuple[tuple[str, str], ...]:
    """Return the headers `Covers-Start`, `Held-From`, `Held-Through` and `Last-Bar-Final`."""
    facts = covered.as_dict() | {"last_bar_final": last_bar_final}
    said = orjson.loads(orjson.dumps(facts, option=orjson.OPT_UTC_Z))
    return tuple(
        (name.replace("_", "-").title(), value if isinstance(value, str) else str(value).lower())
        for name, value in said.items()
        if value is not None
    )


def _tag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _is_last_final(part: pa.Table, dataset: Dataset) -> bool | None:
    """Return whether the reply's last bar is final; None without bars, or when that is unknown."""
    if not part.num_rows:
        return None
    return True if part["time"][-1].as_py() < dataset.last_time else dataset.last_bar_final


def _enveloped(
    answer: Answer,
    covered: Coverage,
    last_bar_final: bool | None,
    count: int,
    bars: bytes,
    made: MadeBars | None,
    more: dict[str, Any],
) -> bytes:
    """Return the JSON reply; the user's five keys come first, `more` is last."""
    dataset = answer.dataset
    head = {
        "symbol": dataset.symbol,
        "exchange": dataset.exchange,
        "timeframe": dataset.timeframe if made is None else made.length.value,
        "count": count,
    }
    tail = {
        "source": dataset.source,
        "dataset": dataset.pk,
        "cached": answer.is_cached,
        "stale": answer.is_stale,
        "fetched_at": dataset.fetched_at,
        "last_bar_final": last_bar_final,
        "n_bars": dataset.n_bars,
        **({} if made is None else {"made_from": dataset.timeframe}),
        "session": dataset.session,
        "adjustment": dataset.adjustment,
        "content_hash": dataset.content_hash,
        "is_limited": dataset.is_limited,
        **covered.as_dict(),
        "doubts": dataset.doubts,
        "instrument": dataset.instrument,
        **more,
    }
    return (
        orjson.dumps(head)[:-1]
        + b',"ohlc":'
        + bars
        + b","
        + orjson.dumps(tail, option=orjson.OPT_UTC_Z)[1:]
    )
