"""Plans of a merge: a fetch beside the bars that are held, and the rows that come and leave. No Django, no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pyarrow as pa

from datasets.archive.audit import Audit, Finding
from datasets.archive.sides import Booleans, Integers, Side
from datasets.bars import BAR_COLUMNS, FetchedBars
from datasets.storage.archives.archive_files import (
    REVISION_SCHEMA,
    SEEN_SCHEMA,
    from_ms,
    times_of,
    to_ms,
)
from datasets.storage.archives.revision_records import RevisionRecord, RevisionState
from datasets.storage.archives.series_document import OlderBars, SeriesDocument


@dataclass(frozen=True, slots=True)
class Arrival:
    """A fetch, and the archive's bars of the same range.

    `held` has `SEEN_SCHEMA`: the archive's bars from the fetch's first bar to its last.
    `revisions` has `REVISION_SCHEMA`: all bars that left the archive before.
    """

    fetched: FetchedBars
    document: SeriesDocument
    held: pa.Table
    revisions: pa.Table

    @property
    def at(self) -> datetime:
        """The instant of the fetch, in whole milliseconds as in the files."""
        return instant_of(self.fetched)

    @property
    def times(self) -> Integers:
        """The openings of the fetched bars, UNIX ms."""
        return times_of(self.fetched.table)

    @property
    def arrived_side(self) -> Side:
        """The fetched bars, for the audit."""
        forming = np.array([to_ms(each) for each in forming_in(self.fetched)], dtype=np.int64)
        return Side.of(self.fetched.table, forming, self.fetched.instrument)

    @property
    def held_side(self) -> Side:
        """The archive's bars, for the audit."""
        forming = np.array([to_ms(each) for each in self.document.forming], dtype=np.int64)
        return Side.of(self.held, forming, self.document.instrument)


@dataclass(frozen=True, slots=True)
class MergePlan:
    """The change of an archive by one fetch.

    `document` is the new state without the names of its new files. Rows of the archive that open
    at `removed` leave it, then the rows of `added` (`SEEN_SCHEMA`) come. `superseded`
    (`REVISION_SCHEMA`) goes to `_revisions`. With `begins_generation` all rows of the archive
    leave it and are kept as a generation. `confirmed` are the older bars to be rescaled and added.
    """

    document: SeriesDocument
    finding: Finding
    added: pa.Table
    removed: Integers
    superseded: pa.Table
    records: tuple[RevisionRecord, ...] = ()
    begins_generation: bool = False
    confirmed: tuple[OlderBars, ...] = ()

    @property
    def has_changes(self) -> bool:
        """Whether the plan brings or removes bars, or records a finding, or is the first of its series."""
        return bool(
            self.document.sequence == 1
            or self.added.num_rows
            or len(self.removed)
            or self.superseded.num_rows
            or self.records
        )


def instant_of(fetched: FetchedBars) -> datetime:
    """Return the instant of the fetch, in whole milliseconds."""
    return from_ms(to_ms(fetched.fetched_at))


def forming_in(fetched: FetchedBars) -> tuple[datetime, ...]:
    """Return the opening of the fetch's last bar unless the feed said that it is final."""
    return () if fetched.last_bar_final else (fetched.table["time"][-1].as_py(),)


def seen(table: pa.Table, at: datetime) -> pa.Table:
    """Return bars with `SEEN_SCHEMA`, first received at `at`."""
    column = np.full(table.num_rows, to_ms(at), dtype=np.int64)
    return table.append_column(
        SEEN_SCHEMA.field("seen_at"), pa.array(column).cast(SEEN_SCHEMA.field("seen_at").type)
    )


def at_times(rows: pa.Table, times: Integers) -> pa.Table:
    """Return the rows that open at these times."""
    return rows.filter(pa.array(np.isin(times_of(rows), times)))


def superseded_rows(
    rows: pa.Table,
    *,
    at: datetime | None,
    reason: str,
    revision: int,
    generation: int,
    is_final: Booleans,
) -> pa.Table:
    """Return rows with `SEEN_SCHEMA` as rows of `_revisions`.

    `at` is the instant at which they were replaced; None for rows that were never served.
    """
    n_rows = rows.num_rows
    instant = REVISION_SCHEMA.field("superseded_at").type
    until = rows["seen_at"] if at is None else pa.array([at] * n_rows, instant)
    columns = [
        *rows.columns, until, pa.array([reason] * n_rows, pa.string()),
        pa.array(np.full(n_rows, revision, np.int32)), pa.array(np.full(n_rows, generation, np.int32)),
        pa.array(is_final),
    ]  # fmt: skip
    return pa.Table.from_arrays(columns, schema=REVISION_SCHEMA)


def not_equal_in(rows: pa.Table, others: pa.Table) -> Booleans:
    """Return for each row whether `others` has no row of the same time and the same values."""
    found = set(zip(*(others[name].to_pylist() for name in BAR_COLUMNS), strict=True))
    values = zip(*(rows[name].to_pylist() for name in BAR_COLUMNS), strict=True)
    return np.array([each not in found for each in values], dtype=bool)


def record_of(
    audit: Audit, times: Integers, document: SeriesDocument, at: datetime, **values: object
) -> RevisionRecord:
    """Return the record of a finding about the bars at `times`; `values` replace single fields."""
    basis = audit.basis
    record = RevisionRecord(
        number=document.n_revisions + 1,
        finding=audit.finding.value,
        state=RevisionState.ACCEPTED,
        generation=document.generation.number,
        found_at=at,
        n_bars=len(times),
        first_time=from_ms(int(times.min())) if len(times) else None,
        last_time=from_ms(int(times.max())) if len(times) else None,
        factor=1.0 if basis is None else basis.factor,
        offset=0.0 if basis is None else basis.offset,
        is_split=audit.is_split,
        largest_change=audit.largest_change,
    )
    return replace(record, **values)  # type: ignore[arg-type]


def together(tables: Sequence[pa.Table], schema: pa.Schema) -> pa.Table:
    """Return the rows of all tables, by time."""
    rows = pa.concat_tables([schema.empty_table(), *tables]).combine_chunks()
    # New bars mostly come after all others, and sorting a year of minutes takes longer than its merge.
    is_sorted = not np.any(np.diff(times_of(rows)) < 0)
    return rows if is_sorted else rows.sort_by("time").combine_chunks()
