"""A running fetch belongs to a worker as long as that keeps saying that it lives.

It says so from a thread of its own, one for all fetches of the process: the fetch itself
blocks in the system's name look-up and elsewhere for longer than a lease lasts. Leases are
dated by the database's clock, so that a host whose clock is ahead takes no living one over.
"""

from __future__ import annotations

import logging
import threading
import time
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.db import Error, connection
from django.db.models import Q

from datasets.models import Fetch, database

logger = logging.getLogger(__name__)

# So long an attempt is believed to live after it has last said so; it says so more often.
LEASE = timedelta(seconds=15)
_RENEW_S = 3.0
# No attempt says that it lives for longer. A lease that does was dated by a clock that has
# been put back since, and would last until the clock comes there again.
_LONGEST = 2 * LEASE

_TABLE, _QUEUED, _RUNNING = Fetch._meta.db_table, Fetch.State.QUEUED, Fetch.State.RUNNING
# By hand, so that a fetch is claimed and read in one step, and as Django takes several times
# the statements' own time to write them.
_CLAIM = f"""
    UPDATE {_TABLE} SET
        state = '{_RUNNING.value}', owner = %(owner)s, attempts = attempts + 1,
        started_at = %(now)s, lease_until = %(until)s, next_attempt_at = NULL,
        allowed_at = NULL, n_rows = 0, fetched_ms = 0
    WHERE id = %(id)s AND source = %(source)s AND (
        state = '{_QUEUED.value}' OR (
            state = '{_RUNNING.value}' AND NOT lease_until BETWEEN %(now)s AND %(latest)s
        )
    ) RETURNING *
"""
_EXTEND = f"""
    UPDATE {_TABLE} SET lease_until = %(until)s
    WHERE id = %(id)s AND owner = %(owner)s AND state = '{_RUNNING.value}'
"""


class Lease:
    """One attempt's claim on its fetch's row, renewed inside the `with` block."""

    def __init__(self, fetch_id: int, owner: str) -> None:
        self.owner = owner
        self.is_lost = False
        self._fetch_id = fetch_id

    def __enter__(self) -> None:
        _keeper.add(self)

    def __exit__(self, *error: object) -> None:
        _keeper.remove(self)

    def extend(self) -> bool:
        """Say that the attempt lives; return False when another worker has taken the fetch over.

        After True nobody takes it over for a while, nor before the end of the transaction.
        """
        values = {
            "id": self._fetch_id,
            "owner": self.owner,
            "until": _as_driver_takes(database.now() + LEASE),
        }
        with connection.cursor() as cursor:
            cursor.execute(_EXTEND, values)
            return bool(cursor.rowcount)

    def renew(self) -> None:
        """Say that the attempt lives; find out when another worker has taken the fetch over."""
        try:
            self.is_lost = not self.extend()
        except Error as error:
            # The database is busy or away, or the connection was cut; the next try, on a new
            # connection, may still be in time.
            logger.warning("the lease of a fetch was not renewed: %s", error)


def is_dead(now: datetime) -> Q:
    """Return the condition that a running fetch's worker has died, at `now` by the database's clock."""
    return Q(lease_until__lt=now) | Q(lease_until__gt=now + _LONGEST)


def claim(fetch_id: int) -> tuple[Fetch, Lease] | None:
    """Make the fetch ours if it is queued or its worker has died; None if it is another's.

    A fetch of another source than this worker's is never ours.
    """
    now, owner = database.now(), uuid4().hex
    values = {
        "id": fetch_id,
        "source": settings.TV_SOURCE,
        "owner": owner,
        "now": _as_driver_takes(now),
        "until": _as_driver_takes(now + LEASE),
        "latest": _as_driver_takes(now + _LONGEST),
    }
    claimed = list(Fetch.objects.raw(_CLAIM, values))
    return (claimed[0], Lease(fetch_id, owner)) if claimed else None


def _as_driver_takes(moment: datetime) -> Any:
    return connection.ops.adapt_datetimefield_value(moment)


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
        while True:
            time.sleep(_RENEW_S)
            with self._lock:
                leases = list(self._leases)
                if not leases:
                    self._is_running = False
                    return
            try:
                for lease in leases:
                    lease.renew()
            except Exception:
                # The thread's outer edge: without it every fetch of this process is taken over.
                logger.exception("the leases of the running fetches were not renewed")
            finally:
                # Each round takes a connection that works, also after one was cut.
                connection.close()


_keeper = _Keeper()
