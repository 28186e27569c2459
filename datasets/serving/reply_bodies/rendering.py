"""Rendering of one reply: its body, tag and headers."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
import pyarrow as pa

from datasets import catalog
from datasets.bars import BarLength
from datasets.bars.coverage import coverage_of
from datasets.errors import FileMissing
from datasets.formats import FORMATS, choose_columns
from datasets.models import Dataset
from datasets.serving.bars_request import Answer, BarsRequest, ContentRequest
from datasets.serving.reply_bodies.body_cache import Rendered, with_mark
from datasets.serving.reply_bodies.content_paths import content_path
from datasets.serving.reply_bodies.envelope import enveloped, headers_of
from datasets.serving.reply_bodies.reply_bars import (
    bars_between,
    is_last_bar_final,
    newest_bars,
    trading_days,
)


def render_plain(answer: Answer, request: BarsRequest) -> Rendered:
    """Return the reply's body, not gzipped, with its tag and headers.

    Raises `StoreError` when the dataset's file has become unreadable.
    """
    held = newest_bars(answer, request)
    start_ms = None if request.start is None else math.ceil(request.start.timestamp() * 1000)
    covered = coverage_of(held["time"].cast(pa.int64()).to_numpy(), start_ms)
    part = bars_between(held, request.start, request.end)
    # A made bar is always whole.
    is_made = request.made is not None and bool(part.num_rows)
    last_bar_final = True if is_made else is_last_bar_final(part, answer.dataset)
    path = content_path(part, answer.dataset, request)
    headers = headers_of(covered, last_bar_final)
    if path is not None:
        headers += (("Link", f'<{path}>; rel="canonical"'),)
    bars = FORMATS[request.format].render(part.select(choose_columns(request.fields)))
    if not FORMATS[request.format].has_envelope:
        return Rendered(bars, _tag(bars), is_gzip=False, headers=headers)
    more: dict[str, Any] = {"bars_url": path}
    if request.format == "columns":
        made = request.made
        length = made.length if made else BarLength.parse(answer.dataset.timeframe)
        more["trading_days"] = trading_days(part, answer.dataset, length)
    envelope = partial(enveloped, made=request.made, more=more)
    body = envelope(answer, covered, last_bar_final, part.num_rows, bars)
    if answer.is_cached:
        return Rendered(body, _tag(body), is_gzip=False, headers=headers)
    # The tag comes from the body with `"cached": true`. So the client's next request, which the
    # cache answers, gets 304 although the two bodies differ in that key.
    as_cached = replace(answer, is_cached=True)
    cached = envelope(as_cached, covered, last_bar_final, part.num_rows, bars)
    return Rendered(body, with_mark(_tag(cached)), is_gzip=False, headers=headers)


def render_content(dataset: Dataset, request: ContentRequest) -> Rendered:
    """Return the body with the bars of a content hash, not gzipped; it depends on the bars and the request alone.

    Raises `StoreError` when the dataset's file has become unreadable, or holds other bars now.
    """
    table = catalog.read(dataset)
    if dataset.content_hash != request.content_hash:
        raise FileMissing(f"The bars {request.content_hash[:12]}… were replaced meanwhile.")
    part = bars_between(table, request.start, request.end)
    # The schema's metadata would name the dataset.
    bars = FORMATS[request.format].render(
        part.select(choose_columns(request.fields)).replace_schema_metadata(None)
    )
    if FORMATS[request.format].has_envelope:
        head = orjson.dumps({"content_hash": request.content_hash, "count": part.num_rows})
        bars = head[:-1] + b',"ohlc":' + bars + b"}"
    return Rendered(bars, _tag(bars), is_gzip=False)


def _tag(body: bytes) -> str:
    return f'"{hashlib.sha256(body).hexdigest()[:32]}"'
