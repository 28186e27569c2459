"""Spans of time that fetches covered, and the holes between them. No Django, no files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from datasets.storage.archives.series_document import Hole, SeriesDocument

Span = tuple[datetime, datetime]


def spans_of(document: SeriesDocument) -> list[Span]:
    """Return the spans that the series' fetches have covered, both ends inclusive."""
    start, end = document.first_time, document.last_time
    assert start is not None
    assert end is not None
    spans = []
    for hole in document.holes:
        spans.append((start, hole.after))
        start = hole.before
    return [*spans, (start, end)]


def clipped(spans: Iterable[Span], start: datetime | None, end: datetime) -> list[Span]:
    """Return the parts of the spans from `start` to `end`, both inclusive."""
    parts = [
        (first if start is None else max(first, start), min(last, end)) for first, last in spans
    ]
    return [(first, last) for first, last in parts if first <= last]


def with_span(spans: Iterable[Span], added: Span) -> list[Span]:
    """Return the spans with one more; spans that meet in an instant become one."""
    merged: list[Span] = []
    for first, last in sorted([*spans, added]):
        if merged and first <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
        else:
            merged.append((first, last))
    return merged


def holes_between(spans: Sequence[Span]) -> tuple[Hole, ...]:
    """Return the holes between the spans."""
    return tuple(
        Hole(earlier[1], later[0]) for earlier, later in zip(spans, spans[1:], strict=False)
    )
