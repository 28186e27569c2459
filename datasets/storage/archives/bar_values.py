"""Values of one bar: all that were ever received, from the archive, its revisions and its earlier generations."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa

from datasets.bars import BAR_COLUMNS
from datasets.storage.archives.archive_files import times_of, to_ms
from datasets.storage.archives.archive_queries import read_range, read_revisions
from datasets.storage.archives.revision_records import read_records
from datasets.storage.archives.series_document import Generation, SeriesDocument
from datasets.storage.archives.series_folder import SeriesFolder


@dataclass(frozen=True, slots=True)
class BarValues:
    """One row of values of a bar, and the time for which the archive gave them.

    `values` are open, high, low, close and volume; a volume that the exchange does not give is
    None. They were given from `seen_at` until `until`, None for those that are given now; the two
    are equal for values that were never given. `finding` is the class of the audit that ended
    them, empty without one, `revision` its number, 0 without one. `is_rescaled` marks values that
    were computed of older ones and not received.
    """

    seen_at: datetime
    until: datetime | None
    values: tuple[float | None, ...]
    finding: str
    revision: int
    generation: int
    is_final: bool
    is_rescaled: bool


def read_values(folder: SeriesFolder, document: SeriesDocument, at: datetime) -> list[BarValues]:
    """Return all values of the bar that opens at `at`, by the time of their arrival.

    An empty list means that no fetch has brought the bar. `document` is the state of the series.
    Errors as for `read_range`.
    """
    joined_at = {record.number: record.decided_at for record in read_records(folder)}
    found = [*_superseded(folder, at), *_of_generations(folder, document, at)]
    marked = []
    for row in found:
        began_by = document.generations[row["generation"] - 1]
        is_rescaled = bool(began_by.finding) and row["seen_at"] == joined_at.get(began_by.revision)
        marked.append(BarValues(**row, is_rescaled=is_rescaled))
    return sorted(marked, key=lambda each: (each.seen_at, each.until or document.fetched_at))


def _superseded(folder: SeriesFolder, at: datetime) -> Iterator[dict[str, Any]]:
    """Yield the values that left the archive or never entered it."""
    rows = read_revisions(folder)
    for row in rows.filter(pa.array(times_of(rows) == to_ms(at))).to_pylist():
        yield {
            "seen_at": row["seen_at"],
            "until": row["superseded_at"],
            "values": tuple(row[name] for name in BAR_COLUMNS[1:]),
            "finding": row["reason"],
            "revision": row["revision"],
            "generation": row["generation"],
            "is_final": row["is_final"],
        }


def _of_generations(
    folder: SeriesFolder, document: SeriesDocument, at: datetime
) -> Iterator[dict[str, Any]]:
    """Yield the values that each generation ended with, and those that are given now."""
    later: tuple[Generation | None, ...] = (*document.generations[1:], None)
    for generation, following in zip(document.generations, later, strict=True):
        place = folder if following is None else folder.earlier(generation.number)
        own = document if following is None else place.document()
        if own is None:
            continue
        rows = read_range(place, at, at + timedelta(milliseconds=1)).rows
        for row in rows.to_pylist():
            yield {
                "seen_at": row["seen_at"],
                "until": None if following is None else following.began_at,
                "values": tuple(row[name] for name in BAR_COLUMNS[1:]),
                "finding": "" if following is None else following.finding,
                "revision": 0 if following is None else following.revision,
                "generation": generation.number,
                "is_final": at not in own.forming,
            }
