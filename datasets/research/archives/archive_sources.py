"""Archives of series as the loader reads them: from a folder, or from a service."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa

from datasets.bars import BAR_COLUMNS, DatasetKey
from datasets.bars.series_keys import SeriesKey
from datasets.calendars.last_bars import is_final
from datasets.errors import DatasetNotFound, FolderUnavailable
from datasets.research.folders import Place
from datasets.storage.archives.archive_paths import relative_folder
from datasets.storage.archives.known_bars import read_known
from datasets.storage.archives.revision_records import RevisionRecord, read_records
from datasets.storage.archives.series_document import SeriesDocument


@dataclass(frozen=True, slots=True)
class ArchivePart:
    """Some bars of an archive.

    `rows` has `BAR_SCHEMA`, oldest bar first. `facts` are those that a dataset's file with these
    rows would state, and under `archive` those of the archive: `holes` among the bars, and
    `rescaled`, the steps by which older bars were brought to the present basis. `held_from` and `held_through` are the openings of the oldest and of the
    newest bar in the archive, at the instant of the reading.
    """

    rows: pa.Table
    facts: dict[str, Any]
    held_from: datetime | None
    held_through: datetime | None


@dataclass(frozen=True, slots=True)
class ArchiveExtent:
    """The number of bars in an archive, and the opening of the oldest one."""

    n_rows: int
    first_time: datetime | None


class Archive(Protocol):
    """The archive of one series. `path` is its folder below `archive/`, such as `sample/NASDAQ_AAPL_1h`."""

    path: str

    def extent(self) -> ArchiveExtent:
        """Return how many bars the archive has; 0 without an archive."""

    def read(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        n_bars: int | None = None,
        as_of: datetime | None = None,
    ) -> ArchivePart:
        """Return the bars of a range, as `archive_queries.read_range` describes.

        Raises `DatasetNotFound` without an archive, `FileMissing` for an instant before its first
        fetch, `FileCorrupt`, and `ServiceFailed` for a service that does not answer.
        """

    def records(self) -> list[RevisionRecord]:
        """Return the newest record of each revision; errors as for `read`."""


class FolderArchive:
    """The archive of a series in an outputs folder of this machine, or in a bucket."""

    def __init__(self, place: Place, key: DatasetKey) -> None:
        series = SeriesKey.of(key)
        self.path = relative_folder(series)
        self._archives = place.archives
        self.folder = self._archives.folder(self.path)
        self._series = series

    def extent(self) -> ArchiveExtent:
        """Return how many bars the archive has; 0 without an archive. Raises `FolderUnavailable`."""
        document = self._found()
        if document is None:
            return ArchiveExtent(0, None)
        return ArchiveExtent(document.n_rows, document.first_time)

    def document(self) -> SeriesDocument:
        """Return the state of the series; raise `DatasetNotFound` where nothing was archived."""
        document = self._found()
        if document is None:
            raise not_archived(self._series, self._archives.where(self._series.source))
        return document

    def read(
        self,
        start: datetime | None = None,
        end: datetime | None = None,
        *,
        n_bars: int | None = None,
        as_of: datetime | None = None,
    ) -> ArchivePart:
        """Return the bars of a range; errors as for `Archive.read`."""
        self.document()
        found = read_known(self.folder, start, end, n_bars=n_bars, as_of=as_of)
        rows, facts = found.rows.select(BAR_COLUMNS).combine_chunks(), found.facts
        if rows.num_rows:
            facts["last_bar_final"] = is_final(facts)
            if n_bars is not None:
                oldest = rows["time"][0].as_py()
                start = oldest if start is None else max(start, oldest)
        facts["archive"] = {
            "holes": [
                {"after": hole.after.isoformat(), "before": hole.before.isoformat(), "reason": hole.reason}
                for hole in found.holes_in(start, end)
            ],
            "rescaled": [
                {"before": each.before.isoformat(), "factor": each.basis.factor, "offset": each.basis.offset}
                for each in found.rescaled
            ],
        }  # fmt: skip
        return ArchivePart(rows, facts, found.held_from, found.held_through)

    def records(self) -> list[RevisionRecord]:
        """Return the newest record of each revision; errors as for `read`."""
        self.document()
        return read_records(self.folder)

    def _found(self) -> SeriesDocument | None:
        document = self.folder.document()
        source = self._series.source
        if document is None and self._archives.is_away(source):
            raise FolderUnavailable(
                f"There is no archive at all in {self._archives.where(source)}: its disk is not mounted. Mount the disk and try again. "
                "If its archives were deleted on purpose, run `manage.py datasets rebuild --accept-empty`."
            )
        return document


def not_archived(series: SeriesKey, place: str) -> DatasetNotFound:
    """Return the error for a series without an archive at `place`, a folder or a service."""
    return DatasetNotFound(
        f"Nothing of {series} ({series.source}) was archived in {place}, so there is no earlier state of it. "
        "Every fetch is archived: fetch it first, or check exchange, timeframe, session and adjustment."
    )
