"""Addresses of bars by their content: `/api/tv/bars/{content_hash}`."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlencode

import pyarrow as pa

from datasets.models import Dataset
from datasets.serving.bars_request import Answer, BarsRequest
from datasets.serving.reply_bodies.reply_bars import bars_between, newest_bars

_AFTER_LAST_BAR = timedelta(seconds=1)


def content_path(part: pa.Table, dataset: Dataset, request: BarsRequest) -> str | None:
    """Return the path and query that name the bars `part` of the dataset, or None.

    Made bars have none: they follow from the calendar too, which can change. The bounds are the
    openings of the first and the last bar, so that equal bars have one address.
    """
    if request.made is not None or dataset.state != Dataset.State.READY or not part.num_rows:
        return None
    return _path_of(dataset, request, None if part.num_rows == dataset.n_rows else part)


def content_path_of(answer: Answer, request: BarsRequest) -> str | None:
    """Return the path of the bars that answer the request, without rendering them; errors as for `read`."""
    dataset = answer.dataset
    cuts_forming = request.closed and dataset.last_bar_final is False
    has_range = request.start is not None or request.end is not None
    is_whole = not (cuts_forming or has_range) and dataset.n_rows <= request.key.n_bars
    if is_whole and request.made is None and dataset.state == Dataset.State.READY:
        return _path_of(dataset, request, None)
    if request.made is not None:
        return None
    return content_path(
        bars_between(newest_bars(answer, request), request.start, request.end), dataset, request
    )


def _path_of(dataset: Dataset, request: BarsRequest, part: pa.Table | None) -> str:
    query = {"format": request.format}
    if request.fields:
        query["fields"] = ",".join(request.fields)
    if part is not None:
        first, last = part["time"][0].as_py(), part["time"][-1].as_py()
        query["start"] = f"{first:%Y-%m-%dT%H:%M:%SZ}"
        query["end"] = f"{last + _AFTER_LAST_BAR:%Y-%m-%dT%H:%M:%SZ}"
    return f"/api/tv/bars/{dataset.content_hash}?{urlencode(query, safe=',:')}"
