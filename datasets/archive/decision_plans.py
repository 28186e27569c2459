"""Decisions of a person about open revisions, as plans of a merge. No Django, no files."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import pyarrow as pa

from datasets.archive.audit import Audit, Finding
from datasets.archive.plans import (
    Arrival,
    MergePlan,
    at_times,
    not_equal_in,
    seen,
    superseded_rows,
)
from datasets.archive.sides import Integers
from datasets.bars import BAR_COLUMNS
from datasets.errors import InvalidRequest
from datasets.storage.archives.archive_files import REVISION_SCHEMA, from_ms, times_of, to_ms
from datasets.storage.archives.revision_records import RevisionRecord, RevisionState
from datasets.storage.archives.series_document import Dispute, SeriesDocument


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision about the open finding `record`: its newer values are accepted, or the older ones kept."""

    record: RevisionRecord
    state: RevisionState
    at: datetime
    by: str

    @property
    def is_accepted(self) -> bool:
        return self.state is RevisionState.ACCEPTED

    @property
    def decided(self) -> RevisionRecord:
        """The record of the decision, which is written after that of the finding."""
        return RevisionRecord(
            number=self.record.number, finding=self.record.finding, state=self.state,
            generation=self.record.generation, found_at=self.record.found_at, n_bars=0,
            decided_at=self.at, decided_by=self.by,
        )  # fmt: skip


def plan_decision(
    decision: Decision, document: SeriesDocument, held: pa.Table, revisions: pa.Table
) -> MergePlan:
    """Return the plan that carries a decision out.

    Parameters
    ----------
    decision
        The decision; its record is open.
    document
        The present state of the series.
    held
        The archive's bars (`SEEN_SCHEMA`) from the finding's first bar to its last.
    revisions
        All rows (`REVISION_SCHEMA`) that left the archive or never entered it.

    Raises
    ------
    InvalidRequest
        The decision is not possible; the message says why, and what is.
    """
    plan = MergePlan(
        document=replace(document, sequence=document.sequence + 1),
        finding=Finding.SAME,
        added=held.slice(0, 0),
        removed=np.empty(0, dtype=np.int64),
        superseded=REVISION_SCHEMA.empty_table(),
        records=(decision.decided,),
    )
    match Finding(decision.record.finding):
        case Finding.UNEXPLAINED:
            return _with_prices(plan, decision, held, revisions)
        case Finding.VANISHED:
            return _with_vanished(plan, decision, held, revisions)
        case _:
            return _with_step(plan, decision)


def _with_prices(
    plan: MergePlan, decision: Decision, held: pa.Table, revisions: pa.Table
) -> MergePlan:
    """Return the plan with the disputed values in place of the held ones, or with their refusal."""
    number = decision.record.number
    disputed = [each for each in plan.document.disputes if each.revision == number]
    times = np.array([to_ms(time) for each in disputed for time in each.times], dtype=np.int64)
    document = replace(
        plan.document,
        disputes=tuple(each for each in plan.document.disputes if each.revision != number),
    )
    if not decision.is_accepted:
        return replace(plan, document=_with_refusal(document, number, times))
    older = at_times(held, times)
    candidates = at_times(_candidates(revisions, {number}), times_of(older))
    return replace(
        plan,
        document=document,
        added=seen(candidates.select(BAR_COLUMNS), decision.at),
        removed=times_of(older),
        superseded=superseded_rows(
            older, at=decision.at, reason=Finding.UNEXPLAINED.value, revision=number,
            generation=document.generation.number, is_final=np.ones(older.num_rows, dtype=bool),
        ),
    )  # fmt: skip


def _with_vanished(
    plan: MergePlan, decision: Decision, held: pa.Table, revisions: pa.Table
) -> MergePlan:
    """Return the plan that brings the vanished bars back, or leaves them out."""
    if decision.is_accepted:
        return plan
    if decision.record.generation != plan.document.generation.number:
        raise InvalidRequest(
            {
                "revision": [
                    "The basis of the prices has changed since these bars vanished, so they do not fit the present "
                    "ones. They stay in the earlier generation; accept the revision to close it."
                ]
            }
        )
    number = decision.record.number
    rows = _rows(revisions, {number}, Finding.VANISHED)
    rows = rows.filter(pa.array(~np.isin(times_of(rows), times_of(held))))
    return replace(
        plan,
        document=_with_refusal(plan.document, number, times_of(rows)),
        added=seen(rows.select(BAR_COLUMNS), decision.at).sort_by("time"),
    )


def _with_step(plan: MergePlan, decision: Decision) -> MergePlan:
    """Return the plan that confirms a step of the basis, so that older bars join again."""
    document = plan.document
    if not decision.is_accepted:
        raise InvalidRequest(
            {
                "revision": [
                    "The feed sends prices of the new basis only, so the older basis cannot be kept beside them. "
                    f"The older bars are safe in generation {decision.record.generation}. Fetch the window again: "
                    "if the feed has gone back, the archive does so too."
                ]
            }
        )
    if document.awaiting and document.generation.revision != decision.record.number:
        raise InvalidRequest(
            {
                "revision": [
                    f"The basis has changed once more since, by revision {document.generation.revision}. "
                    "Decide that revision first; it covers this one."
                ]
            }
        )
    return replace(
        plan,
        document=replace(
            document,
            awaiting=(),
            changed_through=None,
            rescaled=(*document.rescaled, *document.awaiting),
        ),
        confirmed=document.awaiting,
    )


def without_refused(audit: Audit, arrival: Arrival) -> Audit:
    """Return the audit without the changes that a person has refused before.

    A feed repeats a change with every fetch. The same change is not reported again; a change to
    other values is.
    """
    numbers = {each.revision for each in arrival.document.refused}
    if not numbers:
        return audit
    changed = at_times(arrival.fetched.table, audit.changed)
    is_other = not_equal_in(changed, _candidates(arrival.revisions, numbers))
    absent = times_of(_rows(arrival.revisions, numbers, Finding.VANISHED))
    return replace(
        audit,
        changed=times_of(changed)[is_other],
        vanished=np.setdiff1d(audit.vanished, absent),
    )


def _candidates(revisions: pa.Table, numbers: set[int]) -> pa.Table:
    """Return the newer values of disputed bars: rows that were never served."""
    rows = _rows(revisions, numbers, Finding.UNEXPLAINED)
    is_unserved = times_of(rows, "seen_at") == times_of(rows, "superseded_at")
    return rows.filter(pa.array(is_unserved))


def _rows(revisions: pa.Table, numbers: set[int], reason: Finding) -> pa.Table:
    is_chosen = np.isin(revisions["revision"].to_numpy(), list(numbers)) & np.array(
        [each == reason for each in revisions["reason"].to_pylist()], dtype=bool
    )
    return revisions.filter(pa.array(is_chosen))


def _with_refusal(document: SeriesDocument, number: int, times: Integers) -> SeriesDocument:
    refusal = Dispute(number, tuple(map(from_ms, times.tolist())))
    return replace(document, refused=(*document.refused, refusal)) if len(times) else document
