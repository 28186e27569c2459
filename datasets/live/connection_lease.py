"""Lease of the live connection: of all hosts, one process holds it for a source."""

from __future__ import annotations

import logging
import socket
import threading
import time
from datetime import timedelta
from typing import Any, Self
from uuid import uuid4

from django.conf import settings
from django.db import Error, connection
from django.db.models import Q, QuerySet

from datasets.models import LiveConnection, database

logger = logging.getLogger(__name__)

# The holder counts as dead this long after its last renewal; `_RENEW_S` is shorter.
LEASE = timedelta(seconds=15)
_RENEW_S = 4.0


class ConnectionLease:
    """Claim on the live connection, renewed in a thread of its own inside the `with` block.

    The thread is needed because opening a connection may block for longer than the lease lasts.
    """

    def __init__(self) -> None:
        self.owner = uuid4().hex
        self._is_taken = False
        self._renewed = time.monotonic()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="live lease", daemon=True)

    @property
    def is_lost(self) -> bool:
        """Whether another process may hold the connection by now."""
        return self._is_taken or time.monotonic() > self._renewed + LEASE.total_seconds()

    def claim(self) -> bool:
        """Claim the connection; return False while another process holds it."""
        LiveConnection.objects.get_or_create(source=settings.TV_SOURCE)
        now = database.now()
        # A lease that ends much later was dated by a clock that has been put back since.
        is_free = Q(lease_until=None) | Q(lease_until__lt=now) | Q(lease_until__gt=now + 2 * LEASE)
        rows = LiveConnection.objects.filter(is_free, source=settings.TV_SOURCE)
        self._renewed = time.monotonic()
        return bool(
            rows.update(
                owner=self.owner,
                host=socket.gethostname()[:255],
                lease_until=now + LEASE,
                held_since=now,
                connected_at=None,
            )
        )

    def extend(self) -> bool:
        """Renew the lease; return False when another process has claimed the connection.

        After True inside a transaction, no other process claims it before the end of the transaction.
        """
        started = time.monotonic()
        is_ours = bool(self.own_row().update(lease_until=database.now() + LEASE))
        self._is_taken = not is_ours
        self._renewed = started if is_ours else self._renewed
        return is_ours

    def note(self, **values: Any) -> None:
        """Write columns of the connection's row, while the lease is held."""
        self.own_row().update(**values)

    def own_row(self) -> QuerySet[LiveConnection]:
        """Return the connection's row while this process is its owner."""
        return LiveConnection.objects.filter(source=settings.TV_SOURCE, owner=self.owner)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._is_over.set()
        self._thread.join()
        try:
            self.note(lease_until=database.now(), connected_at=None)
        except Error as problem:
            # The lease ends by itself.
            logger.warning("the lease of the live connection was not given back: %s", problem)

    def _renew(self) -> None:
        while not self._is_over.wait(_RENEW_S):
            try:
                self.extend()
            except Error as error:
                logger.warning("the lease of the live connection was not renewed: %s", error)
            finally:
                # The next renewal opens a new connection, also after this one was cut.
                connection.close()
