"""The row of a dataset, written from the metadata of its file."""

from __future__ import annotations

from typing import Any

from datasets.calendars import Calendar
from datasets.models import CalendarVersion, Dataset
from datasets.storage import FileFacts, StoredFile, relative_path


def record(stored: StoredFile) -> Dataset:
    """Add or update the row that describes the file, and return the row."""
    return Dataset.objects.get(pk=record_row(stored))


def record_row(stored: StoredFile) -> int:
    """Add or update the row that describes the file, and return its primary key."""
    key = stored.facts.key.as_dict()
    values = row_values(stored) | {"calendar": _calendar_version(stored.facts)}
    row = Dataset(**key, **values)
    Dataset.objects.bulk_create(
        [row], update_conflicts=True, unique_fields=list(key), update_fields=list(values)
    )
    return row.pk


def _calendar_version(facts: FileFacts) -> CalendarVersion | None:
    """Return the row of the calendar that came with these bars, and add the row if it is new.

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
        "modified_ns": stored.modified_ns,
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
