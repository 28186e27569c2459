"""Imports: the bars of a file merged into the archive of the source `imported`, and its dataset renewed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import transaction

from datasets.archive.audit import Finding
from datasets.archive.merging import WindowNeeded
from datasets.archive.plans import MergePlan
from datasets.archive.preparation import PreparedArchive, prepared
from datasets.archive.series_rows import folder_of, lock_datasets, record_series
from datasets.bars import BAR_COLUMNS, IMPORTED, FetchedBars, count_inconsistent, plausibility
from datasets.bars.series_keys import SeriesKey
from datasets.catalog.outputs import archives, get_store, require_folder
from datasets.catalog.records import record_row
from datasets.errors import InvalidRequest, StoreFailed
from datasets.importing.file_bars import doubts_of
from datasets.models import AuditEntry, Dataset, Series
from datasets.storage import relative_path
from datasets.storage.archives.archive_queries import read_newest
from datasets.storage.archives.revision_records import read_records
from datasets.storage.parquet_file import MAX_ROWS

_CHANGES = {
    Finding.CLOSED: "Bars that have closed since the last import: {}. They have their last values now",
    Finding.VOLUME: "Bars with other volumes than before: {}. The new volumes are in the archive",
    Finding.UNEXPLAINED: "Bars with other prices than before: {}. The older prices stay until the same file is imported again",
    Finding.VANISHED: "Bars of the same time span that the file lacks: {}. They have left the archive",
    Finding.RATIO: "Bars with prices of another basis, as after a split: {}. A new generation begins",
    Finding.OFFSET: "Bars with prices of another basis, as after a roll: {}. A new generation begins",
}


@dataclass(frozen=True, slots=True)
class ImportReport:
    """The result of an import: its numbers of bars, and the dataset's file.

    `changes` are the findings of the audit with their numbers of bars. Rows that were replaced,
    or that were not accepted, are in the series' `_revisions`.
    """

    key: SeriesKey
    n_bars: int
    n_new: int
    changes: tuple[tuple[Finding, int], ...]
    first_time: datetime
    last_time: datetime
    n_inconsistent: int
    doubts: dict[str, int]
    path: str
    is_dry: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain values, ready for JSON."""
        return self.key.as_dict() | {
            "count": self.n_bars,
            "new": self.n_new,
            "changes": {finding.value: n_bars for finding, n_bars in self.changes},
            "first_time": self.first_time.isoformat(),
            "last_time": self.last_time.isoformat(),
            "inconsistent": self.n_inconsistent,
            "doubts": self.doubts,
            "path": self.path,
            "dry_run": self.is_dry,
        }

    def sentences(self) -> Iterator[str]:
        """Yield the report in sentences."""
        new = "New bars that would be imported" if self.is_dry else "New bars imported"
        yield (
            f"Bars of {self.key} checked: {self.n_bars:,}, from {self.first_time:%Y-%m-%d %H:%M} to "
            f"{self.last_time:%Y-%m-%d %H:%M} UTC. {new}: {self.n_new:,}."
        )
        for finding, n_bars in self.changes:
            yield f"{_CHANGES[finding].format(f'{n_bars:,}')}."
        if self.n_inconsistent:
            yield (
                f"Bars with a high or low that does not enclose open and close: {self.n_inconsistent:,}. "
                "They are kept as they are."
            )
        for code, n_bars in self.doubts.items():
            yield f"Bars {plausibility.DOUBTS[code]}: {n_bars:,}. They are kept as they are."


def import_bars(
    key: SeriesKey,
    fetched: FetchedBars,
    *,
    dry_run: bool = False,
    by: str = "",
    via: str = "command",
) -> ImportReport:
    """Merge checked bars into the archive of their series, and write the series' dataset.

    Parameters
    ----------
    key
        The series; its source is `IMPORTED`.
    fetched
        The bars, as `file_bars.read_file` returns them.
    dry_run
        Only compare the bars with the archive; change nothing.
    by, via
        The user, and the way of the request, for the audit.

    The bars are merged like those of a fetch: the overlap is audited, and rows that leave the
    archive are kept in `_revisions`. Bars that are all held already change nothing. The dataset
    has the newest `MAX_ROWS` bars of the series.

    Raises
    ------
    InvalidRequest
        The prices have another basis than those held, and the file does not replace all of them.
    StoreFailed
        The dataset is pinned, or a file cannot be written. Nothing was changed.
    StoreError
        A file of the archive is missing or corrupt.
    """
    assert key.source == IMPORTED
    require_folder(IMPORTED)
    held = folder_of(key).document()
    if held is None and dry_run:
        return _report(key, fetched, None, is_dry=True)
    first, last = (fetched.table["time"][place].as_py() for place in (0, -1))
    is_whole = held is None or (
        held.first_time is not None
        and held.last_time is not None
        and first <= held.first_time
        and last >= held.last_time
    )
    try:
        with prepared(archives(), key, fetched, is_whole_window=is_whole) as archive:
            plan = archive.plan
            if not dry_run and (plan.has_changes or not _is_recorded(key, plan)):
                _put_in_place(key, fetched, archive, by=by, via=via)
            return _report(key, fetched, plan, is_dry=dry_run)
    except WindowNeeded as changed:
        assert held is not None
        sentence = (
            f"The file's prices have another basis than the bars that are held ({changed}), as after a split, so nothing "
            f"was imported. Import one file with all bars from {held.first_time:%Y-%m-%d} to {held.last_time:%Y-%m-%d}."
        )
        raise InvalidRequest({"file": [sentence]}) from changed


def _is_recorded(key: SeriesKey, plan: MergePlan) -> bool:
    """Return whether the rows follow the archive: an import can die between its files and its rows."""
    series, dataset = Series.find(key), Dataset.find(key.dataset(MAX_ROWS))
    is_current = series is not None and series.sequence == plan.document.sequence - 1
    return is_current and dataset is not None and dataset.state == Dataset.State.READY


def _put_in_place(
    key: SeriesKey, fetched: FetchedBars, archive: PreparedArchive, *, by: str, via: str
) -> None:
    """Put the archive's new state and the dataset in place, and record both rows."""
    document, own = archive.document, key.dataset(MAX_ROWS)
    # Files of an import can lie years apart: unlike a fetch's dataset, this one has all of them.
    table = read_newest(archive.folder, MAX_ROWS).rows.select(BAR_COLUMNS).combine_chunks()
    view = replace(
        fetched,
        table=table,
        last_bar_final=document.is_last_final,
        doubts=doubts_of(table, key, fetched.instrument),
    )
    with get_store().prepared(own, view) as file, transaction.atomic():
        rows = lock_datasets(key)
        if any(row.n_bars == own.n_bars and row.is_pinned for row in rows):
            raise StoreFailed(f"{own} is pinned and is not replaced; unpin it to import more bars.")
        records = archive.plan.records
        if not _is_recorded(key, archive.plan):
            records = tuple(read_records(archive.folder))
        archive.commit()
        series_id = record_series(document, records)
        record_row(file.put_in_place(), series_id=series_id)
        series = Series.objects.get(pk=series_id)
        detail = f"{fetched.table.num_rows:,} bars from a file"
        AuditEntry.record(AuditEntry.Action.IMPORTED, series, by=by, via=via, detail=detail)


def _report(
    key: SeriesKey, fetched: FetchedBars, plan: MergePlan | None, *, is_dry: bool
) -> ImportReport:
    times, n_new = fetched.table["time"], fetched.table.num_rows
    changes: list[tuple[Finding, int]] = []
    if plan is not None:
        changes = [(Finding(each.finding), each.n_bars) for each in plan.records if each.n_bars]
        n_closed = plan.superseded["reason"].to_pylist().count(Finding.CLOSED.value)
        changes += [(Finding.CLOSED, n_closed)] if n_closed else []
        n_replaced = len(plan.removed) - sum(
            n_bars for finding, n_bars in changes if finding is Finding.VANISHED
        )
        n_new = plan.added.num_rows - n_replaced
    return ImportReport(
        key=key,
        n_bars=fetched.table.num_rows,
        n_new=n_new,
        changes=tuple(changes),
        first_time=times[0].as_py(),
        last_time=times[-1].as_py(),
        n_inconsistent=count_inconsistent(fetched.table),
        doubts=fetched.doubts,
        path=relative_path(key.dataset(MAX_ROWS)),
        is_dry=is_dry,
    )
