"""Merge of a fetch into a series' archive, as a plan: old rows before the overlap, and new rows.

No Django, no files.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from datasets.archive.audit import NEW_BASIS, Audit, Finding, compare
from datasets.archive.decision_plans import without_refused
from datasets.archive.generations import begin_generation, is_confirmed
from datasets.archive.late_fetches import plan_late
from datasets.archive.merge_findings import (
    confirmed_changes,
    decided_disputes,
    decision_of,
    records_of,
    superseded_by,
)
from datasets.archive.plans import (
    Arrival,
    MergePlan,
    forming_in,
    instant_of,
    seen,
    together,
)
from datasets.archive.spans import holes_between, spans_of, with_span
from datasets.bars import FetchedBars
from datasets.bars.series_keys import SeriesKey
from datasets.storage.archives.archive_files import (
    REVISION_SCHEMA,
    from_ms,
    times_of,
    to_ms,
)
from datasets.storage.archives.revision_records import RevisionState
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
        return _plan_same_basis(arrival, audit)
    if not is_whole_window:
        raise WindowNeeded(audit.finding)
    return begin_generation(arrival, audit)


def _plan_same_basis(arrival: Arrival, audit: Audit) -> MergePlan:
    """Return the plan of a fetch with the basis of the archive: newer values replace older ones, except prices of final bars."""
    document = arrival.document
    confirmed = confirmed_changes(arrival, audit)
    disputed = np.setdiff1d(audit.changed, confirmed)
    replaced = np.concatenate([audit.closed, audit.volume, confirmed])
    removed = np.concatenate([replaced, audit.vanished, audit.placeholders])
    arrived = seen(arrival.fetched.table, arrival.at)
    is_unheld = ~np.isin(arrival.times, times_of(arrival.held))
    is_added = is_unheld | np.isin(arrival.times, replaced)
    disputes, decided = decided_disputes(arrival, disputed, confirmed)
    records = [*records_of(arrival, audit, disputed), *decided]
    awaited = document.awaiting if is_confirmed(arrival, audit) else ()
    if awaited:
        generation = document.generation
        finding = Finding(generation.finding)
        records.append(decision_of(arrival, generation.revision, finding, RevisionState.ACCEPTED))
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
        superseded=together(
            superseded_by(arrival, audit, records, disputed, arrived), REVISION_SCHEMA
        ),
        records=tuple(records),
        confirmed=awaited,
    )
