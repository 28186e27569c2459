"""The retention policy of the settings: old history and unused datasets, which the workers delete."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from itertools import islice

from django.conf import settings

from datasets import catalog
from datasets.catalog import outputs
from datasets.fetching import fetch_queue
from datasets.models import AuditEntry, Incident, IncidentMessage, PriceAlert, database

_MB = 10**6
# A page counts no more of the datasets that the policy deletes.
MOST_DATASETS = 1_000
_KEPT_FOR = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Removal:
    """Numbers of what the policy deletes; sizes are in bytes."""

    fetches: int = 0
    audit_entries: int = 0
    incidents: int = 0
    alerts: int = 0
    files: int = 0
    files_bytes: int = 0
    datasets: int = 0
    datasets_bytes: int = 0

    def as_dict(self) -> dict[str, int]:
        """Return the numbers by their names."""
        return asdict(self)

    def __bool__(self) -> bool:
        return any(asdict(self).values())

    def __str__(self) -> str:
        parts = [
            _counted(self.fetches, "ended fetch", "ended fetches"),
            _counted(self.audit_entries, "audit entry", "audit entries"),
            _counted(self.incidents, "incident"),
            _counted(self.alerts, "triggered alert"),
            f"{_counted(self.files, 'file')} set aside ({self.files_bytes} bytes)",
        ]
        return f"{', '.join(parts)} and {_counted(self.datasets, 'dataset')} ({self.datasets_bytes} bytes)"


_kept_plan: tuple[datetime, Removal] | None = None


def _counted(number: int, noun: str, several: str = "") -> str:
    return f"{number} {noun if number == 1 else several or f'{noun}s'}"


def is_on() -> bool:
    """Return whether a setting turns the policy on."""
    return bool(
        settings.TIDY_AFTER_DAYS or settings.PRUNE_UNUSED_AFTER_DAYS or settings.PRUNE_OVER_MB
    )


def plan() -> Removal:
    """Return what the policy would delete now. Raises `StoreFailed`."""
    return _apply(dry_run=True)


def plan_for_page() -> Removal:
    """Return what the policy would delete now, of datasets the first `MOST_DATASETS` at most. Raises `StoreFailed`.

    Where it would delete more, the result is kept for a minute: it reads the sizes of all rows.
    """
    global _kept_plan
    now = database.shared_now()
    if _kept_plan is not None and timedelta(0) <= now - _kept_plan[0] < _KEPT_FOR:
        return _kept_plan[1]
    found = _apply(dry_run=True, at_most=MOST_DATASETS)
    _kept_plan = (now, found) if found.datasets == MOST_DATASETS else None
    return found


def apply() -> Removal:
    """Delete what the policy names, and return what was deleted; may run in several workers at once.

    Pinned datasets and archives stay. Raises `StoreFailed`.
    """
    return _apply(dry_run=False)


def tidy(before: datetime, *, dry_run: bool = False) -> Removal:
    """Delete history from before the instant; with `dry_run` only count it. Raises `StoreFailed`."""
    old = AuditEntry.objects.filter(at__lt=before)
    fetches = fetch_queue.delete_ended(before, dry_run=dry_run)
    entries = database.delete_in_steps(old, dry_run=dry_run)
    closed = Incident.objects.filter(closed_at__lt=before)
    incidents = database.delete_in_steps(closed, dry_run=dry_run)
    if not dry_run:
        # Messages are of no use without their incidents.
        IncidentMessage.objects.filter(incidents=None, alert=None).delete()
    triggered = PriceAlert.objects.filter(state=PriceAlert.State.TRIGGERED, triggered_at__lt=before)
    alerts = database.delete_in_steps(triggered, dry_run=dry_run)
    files, size = outputs.get_store().purge_removed(before, dry_run=dry_run)
    return Removal(fetches, entries, incidents, alerts, files, size)


def _apply(*, dry_run: bool, at_most: int | None = None) -> Removal:
    now = database.shared_now()
    found = Removal()
    if settings.TIDY_AFTER_DAYS:
        found = tidy(now - timedelta(days=settings.TIDY_AFTER_DAYS), dry_run=dry_run)
    days, megabytes = settings.PRUNE_UNUSED_AFTER_DAYS, settings.PRUNE_OVER_MB
    prunable = catalog.choose_prunable(
        unused_since=now - timedelta(days=days) if days else None,
        total_bytes=megabytes * _MB if megabytes else None,
        is_light=True,
    )
    number = size = 0
    for dataset in islice(prunable, at_most):
        if dry_run or catalog.remove(dataset, via="service"):
            number += 1
            size += dataset.bytes
    return replace(found, datasets=number, datasets_bytes=size)
