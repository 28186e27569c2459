"""A running fetch belongs to a worker as long as that keeps saying that it lives.

It says so from a thread of its own, one for all fetches of the process: the fetch itself
blocks in the system's name look-up and elsewhere for longer than a lease lasts.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import timedelta

from django.db import OperationalError, connection
from django.utils import timezone

from datasets.models import Fetch

logger = logging.getLogger(__name__)

# So long an attempt is believed to live after it has last said so; it says so more often.
LEASE = timedelta(seconds=15)
_RENEW_S = 3.0


class Lease:
    """One attempt's claim on its fetch's row, renewed inside the `with` block."""

    def __init__(self, fetch_id: int, owner: str) -> None:
        self.is_lost = False
        self._mine = Fetch.objects.filter(pk=fetch_id, owner=owner, state=Fetch.State.RUNNING)

    def __enter__(self) -> None:
        _keeper.add(self)

    def __exit__(self, *error: object) -> None:
        _keeper.remove(self)

    def renew(self) -> None:
        """Say that the attempt lives; find out when another worker has taken the fetch over."""
        try:
            if not self._mine.all().update(lease_until=timezone.now() + LEASE):
                self.is_lost = True
        except OperationalError as error:
            # The database is busy or away; the next try may still be in time.
            logger.warning("the lease of a fetch was not renewed: %s", error)


class _Keeper:
    """Renews the leases of this process; its thread ends when there have been none for a while."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leases: set[Lease] = set()
        self._is_running = False

    def add(self, lease: Lease) -> None:
        with self._lock:
            self._leases.add(lease)
            if not self._is_running:
                # Daemon: a worker that ends does not wait for it.
                threading.Thread(target=self._keep, name="leases", daemon=True).start()
                self._is_running = True

    def remove(self, lease: Lease) -> None:
        with self._lock:
            self._leases.discard(lease)

    def _keep(self) -> None:
        try:
            while True:
                time.sleep(_RENEW_S)
                with self._lock:
                    leases = list(self._leases)
                    if not leases:
                        self._is_running = False
                        return
                for lease in leases:
                    lease.renew()
        finally:
            connection.close()


_keeper = _Keeper()
