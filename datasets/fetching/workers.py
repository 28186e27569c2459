"""Rows of the running workers; each worker updates its row every 5 s."""

from __future__ import annotations

import socket
from datetime import timedelta

from django.conf import settings
from django.db.models import QuerySet

from datasets.models import Worker, database

# A worker whose row is older than this counts as dead; a worker updates its row every 5 s.
LOST_AFTER = timedelta(seconds=30)
_DELETED_AFTER = timedelta(hours=1)

NONE_SEEN = (
    f"No worker has been seen for {LOST_AFTER.total_seconds():.0f} s, and only a worker fetches. Read the worker's log, "
    "or start a worker; the fetch then continues without a new request."
)


def note_alive(name: str) -> None:
    """Update or create the row of the worker `name`; delete rows of workers that died long ago."""
    now = database.now()
    Worker.objects.update_or_create(
        name=name,
        defaults={"seen_at": now},
        create_defaults={
            "host": socket.gethostname()[:255],
            "source": settings.TV_SOURCE,
            "started_at": now,
            "seen_at": now,
        },
    )
    Worker.objects.filter(seen_at__lt=now - _DELETED_AFTER).delete()


def note_end(name: str) -> None:
    """Delete the row of a worker that ends."""
    Worker.objects.filter(name=name).delete()


def alive() -> QuerySet[Worker]:
    """Return the rows of all living workers, of every source."""
    now = database.now()
    # A row from the future was written under a clock that has been put back: ignore it.
    return Worker.objects.filter(seen_at__range=(now - LOST_AFTER, now + LOST_AFTER))


def is_any_alive(source: str) -> bool:
    """Return whether a living worker takes fetches of `source`."""
    return alive().filter(source=source).exists()
