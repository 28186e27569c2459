"""Hit counts of datasets, written by a timer and at the process's end."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from contextlib import suppress
from multiprocessing.util import Finalize

from django.db import Error, connection, connections, transaction
from django.db.models import F

from datasets.models import Dataset, database

logger = logging.getLogger(__name__)


class Hits:
    """Counts hits of datasets in memory; a background thread writes the counts.

    So a read never waits for a write. A crash loses the counts of one period.

    Parameters
    ----------
    every_s
        Seconds between two writes.
    patience_s
        Longest wait for the database's lock, in seconds; after it the counts are written later.
    """

    def __init__(self, *, every_s: float = 30.0, patience_s: float = 2.0) -> None:
        self._every_s = every_s
        self._patience_s = patience_s
        self._counts: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._is_ending = threading.Event()
        self._writer: threading.Thread | None = None

    def count(self, dataset_id: int) -> None:
        """Count one read of the dataset."""
        with self._lock:
            self._counts[dataset_id] += 1

    def flush(self) -> None:
        """Write the counts now, in this thread."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            self._add(counts)
        except Error as error:
            # The disk is full, or the database is busy or away.
            logger.warning("hits were not written, and will be later: %s", error)
            with self._lock:
                self._counts += counts

    def start(self) -> None:
        """Write the counts and read the shared clock regularly from now on; write when the process ends."""
        if self._writer is None:
            self._writer = threading.Thread(target=self._write_regularly, name="hits", daemon=True)
            self._writer.start()
            # Not `atexit`: granian forks its processes, and forked processes do not run `atexit`.
            Finalize(None, self.stop, exitpriority=0)

    def stop(self) -> None:
        """Write the last counts; give up after twice `patience_s`."""
        self._is_ending.set()
        if self._writer is not None:
            self._writer.join(2 * self._patience_s)

    def _write_regularly(self) -> None:
        is_ending = False
        while not is_ending:
            # Here, so that no request waits for the reading of the clock.
            with suppress(Error):
                database.now()
            is_ending = self._is_ending.wait(self._every_s)
            self.flush()
            connections.close_all()

    def _add(self, counts: Counter[int]) -> None:
        now = database.shared_now()
        if connection.vendor == "sqlite" and threading.current_thread() is self._writer:
            # The PRAGMA applies to this thread's own connection.
            connection.cursor().execute(f"PRAGMA busy_timeout = {round(self._patience_s * 1000)}")
        with transaction.atomic():
            if connection.vendor == "postgresql":
                timeout = f"{self._patience_s:g}s"
                connection.cursor().execute("SET LOCAL lock_timeout = %s", [timeout])
            # Sorted, so that two processes never deadlock on each other's rows.
            for dataset_id, number in sorted(counts.items()):
                Dataset.objects.filter(pk=dataset_id).update(
                    hits=F("hits") + number, last_served_at=now
                )


_hits = Hits()
count = _hits.count
flush = _hits.flush
start = _hits.start
