"""Generations: a new basis of prices, and older bars brought to it. No Django, no files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from datasets.archive.audit import Audit, Finding
from datasets.archive.plans import Arrival, MergePlan, forming_in, record_of, seen, together
from datasets.archive.spans import Span, holes_between, with_span
from datasets.bars import PRICE_COLUMNS
from datasets.storage.archives.archive_files import (
    REVISION_SCHEMA,
    SEEN_SCHEMA,
    from_ms,
    times_of,
    to_ms,
)
from datasets.storage.archives.revision_records import RevisionState
from datasets.storage.archives.series_document import Basis, Generation

# A feed can be half adjusted on the day of a split, so a later fetch has to find the same basis.
CONFIRMED_AFTER = timedelta(hours=1)


def begin_generation(arrival: Arrival, audit: Audit) -> MergePlan:
    """Return the plan of a new generation, which holds the fetched bars and no others.

    After a `ratio` or an `offset` the older bars wait until a later fetch confirms the step.
    After `feed_changed` they stay in their generation: another feed's bars are no history of
    this one.
    """
    document, fetched = arrival.document, arrival.fetched
    times = arrival.times
    first = from_ms(int(times[0]))
    basis = audit.basis if audit.finding is not Finding.FEED_CHANGED else None
    awaiting = () if basis is None else document.older_bars(first, basis)
    is_open = bool(awaiting)
    record = record_of(
        audit, audit.changed, document, arrival.at,
        state=RevisionState.OPEN if is_open else RevisionState.ACCEPTED,
    )  # fmt: skip
    generation = Generation(
        number=document.generation.number + 1,
        began_at=arrival.at,
        finding=audit.finding.value,
        revision=record.number,
        basis=basis or Basis(),
    )
    later = replace(
        document,
        fetched_at=arrival.at,
        instrument=fetched.instrument,
        sequence=document.sequence + 1,
        generations=(*document.generations, generation),
        files=(),
        n_revisions=record.number,
        forming=forming_in(fetched),
        holes=(),
        awaiting=awaiting,
        changed_through=from_ms(int(audit.changed.max())) if is_open else None,
        rescaled=(),
        disputes=(),
        refused=(),
    )
    return MergePlan(
        document=later,
        finding=audit.finding,
        added=seen(fetched.table, arrival.at),
        removed=np.empty(0, dtype=np.int64),
        superseded=REVISION_SCHEMA.empty_table(),
        records=(record,),
        begins_generation=True,
    )


def is_confirmed(arrival: Arrival, audit: Audit) -> bool:
    """Return whether the fetch confirms the step to the present generation, an hour after it began."""
    document = arrival.document
    if not document.awaiting or document.changed_through is None:
        return False
    is_later = arrival.at >= document.generation.began_at + CONFIRMED_AFTER
    # Bars after the step's date are the same in both bases.
    has_changed_bars = from_ms(int(arrival.times[0])) <= document.changed_through
    return is_later and has_changed_bars and not len(audit.changed)


def rescaled(rows: pa.Table, basis: Basis, at: datetime) -> pa.Table:
    """Return older bars in the present basis, seen at `at`.

    Parameters
    ----------
    rows
        Bars with `SEEN_SCHEMA`, in the basis of an earlier generation.
    basis
        The step to the present basis.
    at
        The instant at which the step was confirmed; the values are known from then on.

    Returns
    -------
    pa.Table
        As many rows with `SEEN_SCHEMA`. Prices are not rounded; a volume that is null stays null.
    """
    table = rows.select([name for name in SEEN_SCHEMA.names if name != "seen_at"])
    for name in PRICE_COLUMNS:
        values = rows[name].to_numpy() * basis.factor + basis.offset
        table = table.set_column(
            table.column_names.index(name), SEEN_SCHEMA.field(name), pa.array(values)
        )
    if basis.volume_factor != 1:
        volumes = rows["volume"].combine_chunks()
        is_absent = np.asarray(volumes.is_null())
        scaled = pa.array(volumes.fill_null(0.0).to_numpy() * basis.volume_factor, mask=is_absent)
        table = table.set_column(
            table.column_names.index("volume"), SEEN_SCHEMA.field("volume"), scaled
        )
    return seen(table, at)


def joined(
    plan: MergePlan, spans: Sequence[Span], older: Sequence[tuple[pa.Table, list[Span]]]
) -> MergePlan:
    """Return the plan with the confirmed older bars among the added rows.

    `spans` are those that the archive covers after the plan. Each of `older` has bars in the
    present basis, and the spans that they cover. Bars within `spans` are left out: fetches of the
    present generation have covered their time.
    """
    covered, tables = list(spans), []
    for rows, older_spans in older:
        times = times_of(rows)
        is_covered = np.zeros(len(times), dtype=bool)
        for first, last in spans:
            is_covered |= (times >= to_ms(first)) & (times <= to_ms(last))
        tables.append(rows.filter(pa.array(~is_covered)))
        for span in older_spans:
            covered = with_span(covered, span)
    document = replace(plan.document, holes=holes_between(covered))
    return replace(plan, document=document, added=together([*tables, plan.added], SEEN_SCHEMA))
