"""Which workers there are: each leaves a row, and says every few seconds that it lives."""

from __future__ import annotations

import socket
from datetime import timedelta

from django.conf import settings
from django.db.models import QuerySet

from datasets.models import Worker, database

# A worker that has not said so for this long is taken for gone. It says so every 5 s.
LOST_AFTER = timedelta(seconds=30)
_FORGOTTEN_AFTER = timedelta(hours=1)

NONE_SEEN = (
    f"No worker has been seen for {LOST_AFTER.total_seconds():.0f} s, and only a worker fetches. Look at the worker's log, "
    "or start one; the fetch then goes on by itself."
)


def note_alive(name: str) -> None:
    """Say that the worker of this name lives; forget those that have long been gone."""
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
    Worker.objects.filter(seen_at__lt=now - _FORGOTTEN_AFTER).delete()


def note_end(name: str) -> None:
    """Forget a worker that ends."""
    Worker.objects.filter(name=name).delete()


def alive() -> QuerySet[Worker]:
    """Return the workers that live, of every source."""
    now = database.now()
    # A row of a clock that was ahead says nothing.
    return Worker.objects.filter(seen_at__range=(now - LOST_AFTER, now + LOST_AFTER))


def is_any_alive(source: str) -> bool:
    """Return whether a worker lives that takes fetches of this source."""
    return alive().filter(source=source).exists()
