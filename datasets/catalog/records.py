"""The row of a dataset, written from the metadata of its file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from datasets.calendars import Calendar
from datasets.models import CalendarVersion, Dataset, DatasetGaps
from datasets.storage import FileFacts, StoredFile, relative_path


def record(stored: StoredFile) -> Dataset:
    """Add or update the row that describes the file, and return the row."""
    return Dataset.objects.get(pk=record_row(stored))


def record_row(
    stored: StoredFile, report: dict[str, Any] | None = None, *, series_id: int | None = None
) -> int:
    """Add or update the row that describes the file, and return its primary key.

    `report` is the gap report of the bars; without one the row has none until it is asked for.
    With `series_id` the row belongs to that series; without it the row keeps its series.
    """
    key = stored.facts.key.as_dict()
    values = row_values(stored) | {
        "calendar": record_calendar(stored.facts),
        "coverage": _counts_of(report),
    }
    if series_id is not None:
        values["series_id"] = series_id
    row = Dataset(**key, **values)
    Dataset.objects.bulk_create(
        [row],
        update_conflicts=True,
        unique_fields=list(key),
        update_fields=[name.removesuffix("_id") for name in values],
    )
    if report is not None:
        record_report(row.pk, report)
    return row.pk


def add_rows(files: Sequence[StoredFile]) -> None:
    """Add rows for files that have none, in one transaction; a row that another process adds first stays as it is."""
    with transaction.atomic():
        rows = [
            Dataset(
                **stored.facts.key.as_dict(),
                **row_values(stored),
                calendar=record_calendar(stored.facts),
            )
            for stored in files
        ]
        Dataset.objects.bulk_create(rows, ignore_conflicts=True)


def record_report(dataset_id: int, report: dict[str, Any]) -> None:
    """Store the gap report of a dataset, and its counts in the dataset's row."""
    DatasetGaps.objects.update_or_create(
        dataset_id=dataset_id,
        defaults={"report": report, "looked_at": datetime.fromisoformat(report["looked_at"])},
    )
    Dataset.objects.filter(pk=dataset_id).update(coverage=_counts_of(report))


def _counts_of(report: dict[str, Any] | None) -> dict[str, Any] | None:
    """Return the counts of a report; None without a report, and where the hours are unknown."""
    if report is None or report["why_unknown"]:
        return None
    return {name: report[name] for name in ("expected", "held", "missing", "share_held", "counts")}


def record_calendar(facts: FileFacts) -> CalendarVersion | None:
    """Store the calendar that came with these bars, if it is new, and return its row.

    Returns None where the feed sent no calendar.
    """
    instrument = facts.instrument
    calendar = Calendar.of(instrument.as_dict())
    if not calendar.hours:
        return None
    version, _ = CalendarVersion.objects.get_or_create(
        source=facts.key.source,
        feed=instrument.full_name or facts.key.full_symbol,
        subsession=calendar.subsession[:64],
        content_hash=calendar.content_hash,
        defaults={
            "first_seen_at": facts.fetched_at,
            "timezone": calendar.timezone,
            "hours": calendar.hours,
            "display": calendar.display,
            "holidays": calendar.holidays,
            "corrections": calendar.corrections,
        },
    )
    # Files of an older catalog are adopted in any order.
    CalendarVersion.objects.filter(pk=version.pk, first_seen_at__gt=facts.fetched_at).update(
        first_seen_at=facts.fetched_at
    )
    return version


def row_values(stored: StoredFile) -> dict[str, Any]:
    """Return the columns of a file's row, without those of the key."""
    facts = stored.facts
    return {
        "state": Dataset.State.READY,
        "path": relative_path(facts.key),
        "bytes": stored.bytes,
        "version": stored.version,
        "content_hash": facts.content_hash,
        "n_rows": facts.n_rows,
        "first_time": facts.first_time,
        "last_time": facts.last_time,
        "last_bar_final": facts.last_bar_final,
        "fetched_at": facts.fetched_at,
        "instrument": facts.instrument.as_dict(),
        "is_limited": facts.is_limited,
        "n_duplicates": facts.n_duplicates,
        "n_inconsistent": facts.n_inconsistent,
        "zero_volume_share": facts.zero_volume_share,
        "largest_gap_s": facts.largest_gap_s,
        "doubts": facts.doubts,
        "tvdatafeed_version": facts.tvdatafeed_version,
    }
