"""Numbers of bars of an archive by calendar year."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from datasets.storage.archives.archive_files import SEEN_SCHEMA, read_rows, times_of
from datasets.storage.archives.series_document import FileEntry, SeriesDocument
from datasets.storage.archives.series_folder import SeriesFolder

_TIMES = pa.schema([SEEN_SCHEMA.field("time")])


@dataclass(frozen=True, slots=True)
class YearCounts:
    """Number of bars by the year in which they open, UTC, and the state of the series."""

    document: SeriesDocument
    n_rows: dict[int, int]


def count_years(folder: SeriesFolder) -> YearCounts:
    """Return the number of bars of each year; errors as for reading.

    A file of one year is not opened: the document says how many bars the file has.
    """
    with folder.opened(lambda found: _of_several_years(found.files)) as snapshot:
        counts: Counter[int] = Counter()
        for entry in snapshot.document.files:
            if entry.first_time is not None and entry not in _of_several_years([entry]):
                counts[entry.first_time.year] += entry.n_rows
        for file in snapshot.files:
            times = times_of(read_rows(file, _TIMES)).view("M8[ms]")
            years, numbers = np.unique(times.astype("M8[Y]").astype(int) + 1970, return_counts=True)
            counts.update(dict(zip(years.tolist(), numbers.tolist(), strict=True)))
        return YearCounts(snapshot.document, dict(sorted(counts.items())))


def _of_several_years(files: Sequence[FileEntry]) -> list[FileEntry]:
    return [
        entry
        for entry in files
        if entry.first_time is not None
        and entry.last_time is not None
        and entry.first_time.year != entry.last_time.year
    ]
