"""Merge of a fetch that is older than the archive's newest one. No Django, no files."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from datasets.archive.audit import NEW_BASIS, Finding, compare
from datasets.archive.plans import (
    Arrival,
    MergePlan,
    forming_in,
    not_equal_in,
    seen,
    superseded_rows,
)
from datasets.archive.spans import holes_between, spans_of, with_span
from datasets.storage.archives.archive_files import from_ms, to_ms

LATE = "late"


def plan_late(arrival: Arrival) -> MergePlan:
    """Return the plan for a fetch that was made before the newest fetch of the archive.

    Its bars replace none. They are added where no fetch has covered their time, if they have the
    basis of the archive; all others that differ from the archive go to `_revisions`.
    """
    document, fetched = arrival.document, arrival.fetched
    audit = compare(arrival.arrived_side, arrival.held_side, held_at_ms=to_ms(arrival.at))
    generation = document.generation
    is_before = generation.number > 1 and arrival.at < generation.began_at
    # Without common bars, only bars of the same generation surely have the same basis.
    is_other_basis = audit.finding in NEW_BASIS or (is_before and not arrival.held.num_rows)
    spans = spans_of(document)
    times = arrival.times
    is_new = np.full(len(times), not is_other_basis)
    for start, end in spans:
        is_new &= (times < to_ms(start)) | (times > to_ms(end))
    arrived = seen(fetched.table, arrival.at)
    forming = np.array([to_ms(each) for each in forming_in(fetched)], dtype=np.int64)
    is_unkept = ~is_new & not_equal_in(fetched.table, arrival.held)
    is_unkept &= not_equal_in(fetched.table, arrival.revisions)
    superseded = superseded_rows(
        arrived.filter(is_unkept), at=None, reason=LATE, revision=0,
        generation=document.generation.number, is_final=~np.isin(times[is_unkept], forming),
    )  # fmt: skip
    later = replace(document, sequence=document.sequence + 1)
    if not is_other_basis:
        spans = with_span(spans, (from_ms(int(times[0])), from_ms(int(times[-1]))))
        added_forming = tuple(each for each in forming_in(fetched) if to_ms(each) in times[is_new])
        later = replace(
            later, holes=holes_between(spans), forming=(*document.forming, *added_forming)
        )
    return MergePlan(
        document=later,
        finding=Finding.SAME,
        added=arrived.filter(is_new),
        removed=np.empty(0, dtype=np.int64),
        superseded=superseded,
    )
