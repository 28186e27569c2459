"""Findings of a merge: the disputes that it decides, and the records and rows that it adds to `_revisions`.

No Django, no files.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from datasets.archive.audit import Audit, Finding
from datasets.archive.plans import Arrival, at_times, not_equal_in, record_of, superseded_rows
from datasets.archive.sides import Integers
from datasets.storage.archives.archive_files import from_ms, times_of, to_ms
from datasets.storage.archives.revision_records import RevisionRecord, RevisionState
from datasets.storage.archives.series_document import Dispute


def confirmed_changes(arrival: Arrival, audit: Audit) -> Integers:
    """Return the changed bars whose new values an earlier fetch brought too."""
    disputes = arrival.document.disputes
    before = [to_ms(time) for dispute in disputes for time in dispute.times]
    is_disputed = np.isin(times_of(arrival.revisions), np.array(before, dtype=np.int64))
    is_candidate = np.array(
        [reason == Finding.UNEXPLAINED for reason in arrival.revisions["reason"].to_pylist()],
        dtype=bool,
    )
    candidates = arrival.revisions.filter(pa.array(is_disputed & is_candidate))
    changed = at_times(arrival.fetched.table, audit.changed)
    return times_of(changed)[~not_equal_in(changed, candidates)]


def decided_disputes(
    arrival: Arrival, disputed: Integers, confirmed: Integers
) -> tuple[list[Dispute], list[RevisionRecord]]:
    """Return the disputes that stay open, and a record for each one that this fetch decides.

    A disputed bar is decided when a later fetch brings one of its two values again, or
    lacks it.
    """
    first, last = (from_ms(int(arrival.times[place])) for place in (0, -1))
    again = set(map(from_ms, disputed.tolist()))
    accepted = set(map(from_ms, confirmed.tolist()))
    still_open, records = [], []
    for dispute in arrival.document.disputes:
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
        records.append(decision_of(arrival, dispute.revision, Finding.UNEXPLAINED, state))
    return still_open, records


def decision_of(
    arrival: Arrival, number: int, finding: Finding, state: RevisionState
) -> RevisionRecord:
    """Return the record of a decision that this fetch makes about the finding `number`."""
    at = arrival.at
    return RevisionRecord(
        number=number, finding=finding.value, state=state,
        generation=arrival.document.generation.number, found_at=at, n_bars=0,
        decided_at=at, decided_by="fetch",
    )  # fmt: skip


def records_of(arrival: Arrival, audit: Audit, disputed: Integers) -> list[RevisionRecord]:
    """Return a record for each class of differences, but for bars that only have closed."""
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
                record_of(found, times, arrival.document, arrival.at, number=number, state=state)
            )
    return records


def superseded_by(
    arrival: Arrival,
    audit: Audit,
    records: list[RevisionRecord],
    disputed: Integers,
    arrived: pa.Table,
) -> list[pa.Table]:
    """Return the rows that leave the archive, and the new values that are not accepted yet."""
    document = arrival.document
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
        rows = at_times(arrival.held, times)
        tables.append(
            superseded_rows(
                rows, at=arrival.at, reason=finding.value,
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
