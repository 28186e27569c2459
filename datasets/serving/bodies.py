"""Rendered reply bodies: made once for each content and representation, then cached."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from django.conf import settings

from datasets import catalog, formats
from datasets.bars import BarLength, coverage
from datasets.bars.coverage import Coverage, coverage_of
from datasets.calendars import Calendar, bar_days
from datasets.formats import FORMATS, choose_columns
from datasets.models import Dataset
from datasets.research.resampling import make_table
from datasets.serving import usage
from datasets.serving.bars_request import Answer, BarsRequest, MadeBars
from datasets.serving.body_cache import Rendered, rendered_cache, with_mark
from datasets.serving.body_files import RenderedFiles

_MB = 1024 * 1024
rendered = rendered_cache(settings.WEB_CACHE_MB * _MB)


def render(answer: Answer, request: BarsRequest, *, accepts_gzip: bool) -> Rendered:
    """Return the reply's body, from memory, from disk, or rendered now.

    Raises `StoreError` when the file has become unreadable since the dataset was chosen.
    """
    dataset = answer.dataset
    version = (dataset.pk, dataset.modified_ns, dataset.content_hash)
    key = _key(version, _representation_of(request), answer.is_cached, answer.is_stale)
    wants_gzip = accepts_gzip and FORMATS[request.format].is_text
    held = rendered.find(key)
    if held is None or (wants_gzip and not held.is_gzip):
        name = f"{dataset.content_hash[:16]}-{key.hex()}" if _is_lasting(answer, request) else ""
        held = _rendered_elsewhere(held, name, wants_gzip, lambda: _render_plain(answer, request))
        # Memory holds only the gzipped body once there is one; clients without gzip get it unpacked.
        rendered.keep(key, held)
    if answer.is_cached:
        usage.count(dataset.pk)
    return held if wants_gzip else held.unpacked()


@lru_cache(maxsize=4096)
def _representation_of(request: BarsRequest) -> bytes:
    """Return a hash of 16 bytes of the parameters that change the body of a given dataset."""
    shown = replace(request, use_cache=True, max_age_s=None, max_stale_s=0, wait_s=0)
    return hashlib.blake2b(repr(shown).encode(), digest_size=16).digest()


def _key(
    version: tuple[int, int, str], representation: bytes, is_cached: bool, is_stale: bool
) -> bytes:
    said = f"{_MADE_BY}{version}{is_cached}{is_stale}".encode() + representation
    return hashlib.blake2b(said, digest_size=16).digest()


def _made_by() -> str:
    """Return a hash of the rendering code, so that a new version ignores bodies of an older one."""
    code = b"".join(Path(str(module.__file__)).read_bytes() for module in (formats, coverage))
    return hashlib.sha256(Path(__file__).read_bytes() + code).hexdigest()[:16] + settings.VERSION


_MADE_BY = _made_by()


def _is_lasting(answer: Answer, request: BarsRequest) -> bool:
    """Return whether the body is worth a file: requests with `start` or `end` seldom repeat."""
    is_whole = request.start is None and request.end is None
    return answer.is_cached and not answer.is_stale and is_whole


def _rendered_elsewhere(
    held: Rendered | None, name: str, wants_gzip: bool, render: Callable[[], Rendered]
) -> Rendered:
    """Return the body from the file `name`, or render it and write the file; no file for an empty name."""
    files = kept_files() if name else None
    found = files.find(name) if files is not None and held is None else held
    made = found or render()
    made = made.packed() if wants_gzip else made
    if files is not None and made is not found:
        files.keep(name, made)
    return made


def kept_files() -> RenderedFiles | None:
    """Return the cache of bodies on disk; None with `WEB_CACHE_DISK_MB=0`."""
    if not settings.WEB_CACHE_DISK_MB:
        return None
    return _files_in(settings.STATE_DIR / "rendered", settings.WEB_CACHE_DISK_MB * _MB)


@lru_cache(maxsize=2)
def _files_in(folder: Path, max_bytes: int) -> RenderedFiles:
    return RenderedFiles(folder, max_bytes)


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


def _render_plain(answer: Answer, request: BarsRequest) -> Rendered:
    held = _held(answer, request)
    covered = _coverage_of(held, request)
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


def _coverage_of(held: pa.Table, request: BarsRequest) -> Coverage:
    start = request.start
    start_ms = None if start is None else math.ceil(start.timestamp() * 1000)
    return coverage_of(held["time"].cast(pa.int64()).to_numpy(), start_ms)


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
