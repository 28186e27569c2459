"""Merge of a fetch into a series' archive, as a plan: old rows before the overlap, and new rows.

No Django, no files.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from datasets.archive.audit import NEW_BASIS, Audit, Finding, compare
from datasets.archive.decision_plans import without_refused
from datasets.archive.generations import begin_generation, is_confirmed
from datasets.archive.late_fetches import plan_late
from datasets.archive.plans import (
    Arrival,
    MergePlan,
    at_times,
    forming_in,
    instant_of,
    not_equal_in,
    record_of,
    seen,
    superseded_rows,
    together,
)
from datasets.archive.sides import Integers
from datasets.archive.spans import holes_between, spans_of, with_span
from datasets.bars import FetchedBars
from datasets.bars.series_keys import SeriesKey
from datasets.storage.archives.archive_files import (
    REVISION_SCHEMA,
    from_ms,
    times_of,
    to_ms,
)
from datasets.storage.archives.revision_records import RevisionRecord, RevisionState
from datasets.storage.archives.series_document import (
    Dispute,
    Generation,
    SeriesDocument,
)


class WindowNeeded(Exception):
    """The fetched bars have another basis than the archive, and are not the feed's whole window.

    The whole window has to be fetched before anything is merged, so that no answer mixes two
    bases.
    """

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(finding.value)


def plan_first(key: SeriesKey, fetched: FetchedBars) -> MergePlan:
    """Return the plan for the first fetch of a series."""
    at = instant_of(fetched)
    document = SeriesDocument(
        key=key,
        fetched_at=at,
        instrument=fetched.instrument,
        generations=(Generation(1, at),),
        forming=forming_in(fetched),
    )
    none = np.empty(0, dtype=np.int64)
    added = seen(fetched.table, at)
    return MergePlan(document, Finding.SAME, added, none, REVISION_SCHEMA.empty_table())


def plan_merge(arrival: Arrival, *, is_whole_window: bool) -> MergePlan:
    """Return the plan for one more fetch of a series.

    Parameters
    ----------
    arrival
        The fetch, and the bars that the archive holds of its range.
    is_whole_window
        Whether the feed has no older bars for us than those of the fetch.

    Raises
    ------
    WindowNeeded
        The basis has changed, and the fetch is not the whole window.
    """
    if arrival.at < arrival.document.fetched_at:
        return plan_late(arrival)
    audit = without_refused(
        compare(
            arrival.held_side, arrival.arrived_side, held_at_ms=to_ms(arrival.document.fetched_at)
        ),
        arrival,
    )
    if audit.finding not in NEW_BASIS:
        return _Merge(arrival, audit).plan()
    if not is_whole_window:
        raise WindowNeeded(audit.finding)
    return begin_generation(arrival, audit)


@dataclass(frozen=True, slots=True)
class _Merge:
    """The merge of a fetch that has the basis of the archive."""

    arrival: Arrival
    audit: Audit

    def plan(self) -> MergePlan:
        """Return the plan: newer values replace older ones, except prices of final bars."""
        arrival, audit, document = self.arrival, self.audit, self.arrival.document
        confirmed = self._confirmed_changes()
        disputed = np.setdiff1d(audit.changed, confirmed)
        replaced = np.concatenate([audit.closed, audit.volume, confirmed])
        removed = np.concatenate([replaced, audit.vanished, audit.placeholders])
        arrived = seen(arrival.fetched.table, arrival.at)
        is_unheld = ~np.isin(arrival.times, times_of(arrival.held))
        is_added = is_unheld | np.isin(arrival.times, replaced)
        disputes, decided = self._decided(disputed)
        records = [*self._records(disputed), *decided]
        awaited = document.awaiting if is_confirmed(arrival, audit) else ()
        if awaited:
            generation = document.generation
            finding = Finding(generation.finding)
            records.append(self._decision(generation.revision, finding, RevisionState.ACCEPTED))
        n_revisions = max([document.n_revisions, *(record.number for record in records)])
        if len(disputed):
            disputes.append(Dispute(n_revisions, tuple(map(from_ms, disputed.tolist()))))
        first, last = (from_ms(int(arrival.times[place])) for place in (0, -1))
        earlier = (time for time in document.forming if not first <= time <= last)
        return MergePlan(
            document=replace(
                document,
                fetched_at=arrival.at,
                instrument=arrival.fetched.instrument,
                sequence=document.sequence + 1,
                forming=(*earlier, *forming_in(arrival.fetched)),
                holes=holes_between(with_span(spans_of(document), (first, last))),
                n_revisions=n_revisions,
                disputes=tuple(disputes),
                awaiting=() if awaited else document.awaiting,
                changed_through=None if awaited else document.changed_through,
                rescaled=(*document.rescaled, *awaited),
            ),
            finding=audit.finding,
            added=arrived.filter(pa.array(is_added)),
            removed=removed,
            superseded=together(self._superseded(records, disputed, arrived), REVISION_SCHEMA),
            records=tuple(records),
            confirmed=awaited,
        )

    def _confirmed_changes(self) -> Integers:
        """Return the changed bars whose new values an earlier fetch brought too."""
        disputes = self.arrival.document.disputes
        before = [to_ms(time) for dispute in disputes for time in dispute.times]
        is_disputed = np.isin(times_of(self.arrival.revisions), np.array(before, dtype=np.int64))
        is_candidate = np.array(
            [
                reason == Finding.UNEXPLAINED
                for reason in self.arrival.revisions["reason"].to_pylist()
            ],
            dtype=bool,
        )
        candidates = self.arrival.revisions.filter(pa.array(is_disputed & is_candidate))
        changed = at_times(self.arrival.fetched.table, self.audit.changed)
        return times_of(changed)[~not_equal_in(changed, candidates)]

    def _decided(self, disputed: Integers) -> tuple[list[Dispute], list[RevisionRecord]]:
        """Return the disputes that stay open, and a record for each one that this fetch decides.

        A disputed bar is decided when a later fetch brings one of its two values again, or
        lacks it.
        """
        first, last = (from_ms(int(self.arrival.times[place])) for place in (0, -1))
        again = set(map(from_ms, disputed.tolist()))
        accepted = set(map(from_ms, self._confirmed_changes().tolist()))
        still_open, records = [], []
        for dispute in self.arrival.document.disputes:
            waiting = tuple(time for time in dispute.times if not first <= time <= last)
            if waiting:
                still_open.append(Dispute(dispute.revision, waiting))
                continue
            if again.issuperset(dispute.times):
                # The new revision of the same bars takes its place.
                state = RevisionState.KEPT_OLD
            else:
                is_accepted = bool(accepted.intersection(dispute.times))
                state = RevisionState.ACCEPTED if is_accepted else RevisionState.KEPT_OLD
            records.append(self._decision(dispute.revision, Finding.UNEXPLAINED, state))
        return still_open, records

    def _decision(self, number: int, finding: Finding, state: RevisionState) -> RevisionRecord:
        at = self.arrival.at
        return RevisionRecord(
            number=number, finding=finding.value, state=state,
            generation=self.arrival.document.generation.number, found_at=at, n_bars=0,
            decided_at=at, decided_by="fetch",
        )  # fmt: skip

    def _records(self, disputed: Integers) -> list[RevisionRecord]:
        """Return a record for each class of differences, but for bars that only have closed."""
        audit, arrival = self.audit, self.arrival
        classes = (
            (Finding.VOLUME, audit.volume, RevisionState.ACCEPTED),
            (Finding.VANISHED, audit.placeholders, RevisionState.ACCEPTED),
            (Finding.VANISHED, audit.vanished, RevisionState.OPEN),
            (Finding.UNEXPLAINED, disputed, RevisionState.OPEN),
        )
        records: list[RevisionRecord] = []
        for finding, times, state in classes:
            if len(times):
                number = arrival.document.n_revisions + len(records) + 1
                found = replace(audit, finding=finding)
                records.append(
                    record_of(
                        found, times, arrival.document, arrival.at, number=number, state=state
                    )
                )
        return records

    def _superseded(
        self, records: list[RevisionRecord], disputed: Integers, arrived: pa.Table
    ) -> list[pa.Table]:
        """Return the rows that leave the archive, and the new values that are not accepted yet."""
        audit, document = self.audit, self.arrival.document
        numbers = {record.finding: record.number for record in records if record.n_bars}
        forming = np.array([to_ms(each) for each in document.forming], dtype=np.int64)
        classes = (
            (Finding.CLOSED, audit.closed),
            (Finding.VOLUME, audit.volume),
            (Finding.UNEXPLAINED, np.setdiff1d(audit.changed, disputed)),
            (Finding.VANISHED, np.append(audit.vanished, audit.placeholders)),
        )
        tables = []
        for finding, times in classes:
            rows = at_times(self.arrival.held, times)
            tables.append(
                superseded_rows(
                    rows, at=self.arrival.at, reason=finding.value,
                    revision=numbers.get(finding.value, 0),
                    generation=document.generation.number,
                    is_final=~np.isin(times_of(rows), forming),
                )
            )  # fmt: skip
        candidates = at_times(arrived, disputed)
        tables.append(
            superseded_rows(
                candidates, at=None, reason=Finding.UNEXPLAINED.value,
                revision=numbers.get(Finding.UNEXPLAINED.value, 0),
                generation=document.generation.number,
                is_final=np.ones(candidates.num_rows, dtype=bool),
            )
        )  # fmt: skip
        return tables
