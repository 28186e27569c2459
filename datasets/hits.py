"""How often each dataset is served."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter

from django.db import DatabaseError, transaction
from django.db.models import F
from django.utils import timezone

from datasets.models import Dataset

logger = logging.getLogger(__name__)


class _Hits:
    """Counts how often datasets are served, and writes the counts every few seconds.

    A write for each read would cost more than the read; a crash loses a few counts.
    """

    _EVERY_S = 5.0

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._written = time.monotonic()

    def is_time_to_write(self) -> bool:
        """Return whether the next count writes, and may have to wait for the database."""
        return time.monotonic() - self._written >= self._EVERY_S

    def count(self, dataset_id: int) -> None:
        with self._lock:
            self._counts[dataset_id] += 1
            if not self.is_time_to_write():
                return
            counts, self._counts = self._counts, Counter()
            self._written = time.monotonic()
        self._write(counts)

    def flush(self) -> None:
        """Write what has been counted now."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
            self._written = time.monotonic()
        self._write(counts)

    def _write(self, counts: Counter[int]) -> None:
        try:
            self._add(counts)
        except DatabaseError as error:
            # The disk is full or the database is busy: the bars are served all the same.
            logger.warning("hits were not written, and will be later: %s", error)
            with self._lock:
                self._counts += counts

    def _add(self, counts: Counter[int]) -> None:
        now = timezone.now()
        with transaction.atomic():
            # In one order, so that two processes never wait for each other's rows.
            for dataset_id, number in sorted(counts.items()):
                Dataset.objects.filter(pk=dataset_id).update(
                    hits=F("hits") + number, last_served_at=now
                )


_hits = _Hits()
count = _hits.count
is_time_to_write = _hits.is_time_to_write
flush = _hits.flush
