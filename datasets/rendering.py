"""From a dataset to the bytes of a reply, once for each content and representation."""

from __future__ import annotations

import gzip
import hashlib
import math
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from datasets import catalog, hits
from datasets.answers import Answer, BarsRequest
from datasets.coverage import Coverage, coverage_of
from datasets.formats import FORMATS, RENDERERS, choose_columns
from datasets.rendered import Rendered, RenderedCache, with_mark

rendered = RenderedCache(max_bytes=64 * 1024 * 1024)


def render(answer: Answer, request: BarsRequest, *, accepts_gzip: bool) -> Rendered:
    """Return the reply's body, rendered once for each content and representation.

    Raises `StoreError` when the file has become unreadable since it was found.
    """
    if answer.is_cached:
        hits.count(answer.dataset.pk)
    wants_gzip = accepts_gzip and FORMATS[request.format].is_text
    dataset, how = answer.dataset, (answer.is_cached, answer.is_stale)
    version = (dataset.pk, dataset.modified_ns, dataset.content_hash)
    part = what_shows(request)
    plain = rendered.get((version, how, part, False), lambda: _render_plain(answer, request))
    if not wants_gzip:
        return plain
    return rendered.get((version, how, part, True), lambda: _compressed(plain))


def what_shows(request: BarsRequest) -> BarsRequest:
    """Return the request without what does not show in the body, and must not make another one."""
    return replace(request, use_cache=True, max_age_s=None, max_stale_s=0, wait_s=0)


def find_rendered(
    version: tuple[int, int, str], part: BarsRequest, *, is_gzip: bool
) -> Rendered | None:
    """Return the body of a fresh, cached answer if it has been rendered already, and count the hit.

    `version` is a row's number, its file's `modified_ns` and its content hash; `part` comes from
    `what_shows`.
    """
    found = rendered.find((version, (True, False), part, is_gzip))
    if found is not None:
        hits.count(version[0])
    return found


def _held(answer: Answer, request: BarsRequest) -> pa.Table:
    """Return the bars that could be given: the newest ones, without one that is forming where that is asked."""
    dataset = answer.dataset
    table = catalog.read(dataset)
    table = table.slice(max(0, table.num_rows - request.key.n_bars))
    if request.closed and dataset.last_bar_final is False and table.num_rows:
        table = table.slice(0, table.num_rows - 1)
    return table


def _part_of(table: pa.Table, request: BarsRequest) -> pa.Table:
    """Return the bars between `start` and `end`, with the columns that the request asks for."""
    if request.start is not None:
        table = table.filter(pc.greater_equal(table["time"], _instant(request.start)))
    if request.end is not None:
        table = table.filter(pc.less(table["time"], _instant(request.end)))
    return table.select(choose_columns(request.fields))


def _instant(moment: datetime) -> pa.Scalar[Any]:
    # Microseconds, as a bar never opens within a millisecond but a bound may be anything.
    return pa.scalar(moment.astimezone(UTC), type=pa.timestamp("us", tz="UTC"))


def _render_plain(answer: Answer, request: BarsRequest) -> Rendered:
    held = _held(answer, request)
    coverage = _coverage_of(held, request)
    headers = _headers_of(coverage)
    table = _part_of(held, request)
    bars = RENDERERS[request.format](table)
    if not FORMATS[request.format].has_envelope:
        return Rendered(bars, _tag(bars), is_gzip=False, headers=headers)
    body = _enveloped(answer, request, coverage, table.num_rows, bars)
    if answer.is_cached:
        return Rendered(body, _tag(body), is_gzip=False, headers=headers)
    # Asked again, the client is to hear that it has these bars, though "cached" has changed.
    as_cached = replace(answer, is_cached=True)
    cached = _enveloped(as_cached, request, coverage, table.num_rows, bars)
    return Rendered(body, with_mark(_tag(cached)), is_gzip=False, headers=headers)


def _coverage_of(held: pa.Table, request: BarsRequest) -> Coverage:
    start = request.start
    start_ms = None if start is None else math.ceil(start.timestamp() * 1000)
    return coverage_of(held["time"].cast(pa.int64()).to_numpy(), start_ms)


def _headers_of(coverage: Coverage) -> tuple[tuple[str, str], ...]:
    """Return `Covers-Start`, `Held-From` and `Held-Through`: formats of bars alone have no other place."""
    said = orjson.loads(orjson.dumps(coverage.as_dict(), option=orjson.OPT_UTC_Z))
    return tuple(
        (name.replace("_", "-").title(), value if isinstance(value, str) else str(value).lower())
        for name, value in said.items()
        if value is not None
    )


def _tag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'


def _compressed(plain: Rendered) -> Rendered:
    # `mtime`, so that the same body is the same bytes for ever: the tag promises that.
    # Level 4 takes a third of the time of 6 and gives 2 % more bytes.
    body = gzip.compress(plain.body, compresslevel=4, mtime=0)
    return Rendered(body, f'{plain.etag[:-1]}-gzip"', is_gzip=True, headers=plain.headers)


def _enveloped(
    answer: Answer, request: BarsRequest, coverage: Coverage, count: int, bars: bytes
) -> bytes:
    """Return the JSON reply; the user's five keys come first."""
    dataset = answer.dataset
    is_final = (
        True if request.closed and dataset.last_bar_final is False else dataset.last_bar_final
    )
    head = {
        "symbol": dataset.symbol,
        "exchange": dataset.exchange,
        "timeframe": dataset.timeframe,
        "count": count,
    }
    tail = {
        "source": dataset.source,
        "dataset": dataset.pk,
        "cached": answer.is_cached,
        "stale": answer.is_stale,
        "fetched_at": dataset.fetched_at,
        "last_bar_final": is_final,
        "n_bars": dataset.n_bars,
        "session": dataset.session,
        "adjustment": dataset.adjustment,
        "content_hash": dataset.content_hash,
        "is_limited": dataset.is_limited,
        **coverage.as_dict(),
        "doubts": dataset.doubts,
        "instrument": dataset.instrument,
    }
    return (
        orjson.dumps(head)[:-1]
        + b',"ohlc":'
        + bars
        + b","
        + orjson.dumps(tail, option=orjson.OPT_UTC_Z)[1:]
    )
