"""Leases: a running fetch belongs to one worker while that worker renews the fetch's lease.

One thread renews the leases of all fetches of a process, because the fetch itself may block for
longer than a lease lasts, for instance in the system's name look-up. Leases are dated by the
database's clock, so that a host whose clock is ahead takes over no living worker's fetch.
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

# An attempt counts as dead this long after its last renewal; `_RENEW_S` is shorter.
LEASE = timedelta(seconds=15)
_RENEW_S = 3.0
# No lease ends later than this. A later end was dated by a clock that has been put back since;
# such a lease would not end until the clock reaches that instant again.
_LONGEST = 2 * LEASE

_TABLE, _QUEUED, _RUNNING = Fetch._meta.db_table, Fetch.State.QUEUED, Fetch.State.RUNNING
# SQL by hand: `RETURNING` claims and reads a row in one step, and Django's building of the
# statements takes several times longer than the database needs to run them.
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


class LeaseLost(Exception):
    """Another worker has taken the fetch over; this attempt must not write any more."""


class GaveWay(Exception):
    """The attempt has called nothing, and its fetch is queued again: a better fetch can begin."""


class Lease:
    """One attempt's claim on the row of its fetch; renewed in the background inside the `with` block."""

    def __init__(self, fetch_id: int, owner: str) -> None:
        self.owner = owner
        self.is_lost = False
        self._fetch_id = fetch_id

    def __enter__(self) -> None:
        _keeper.add(self)

    def __exit__(self, *error: object) -> None:
        _keeper.remove(self)

    def extend(self) -> bool:
        """Renew the lease; return False when another worker has taken the fetch over.

        After True no other worker takes the fetch over during `LEASE`, nor, inside a
        transaction, before its end.
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
        """Renew the lease and set `is_lost`; a failing database only logs a warning."""
        try:
            self.is_lost = not self.extend()
        except Error as error:
            # The database is busy or away, or the connection was cut. The next renewal, on a
            # new connection, may still be in time.
            logger.warning("the lease of a fetch was not renewed: %s", error)


def is_dead(now: datetime) -> Q:
    """Return the condition for a dead worker of a running fetch; `now` is from the database's clock."""
    return Q(lease_until__lt=now) | Q(lease_until__gt=now + _LONGEST)


def claim(fetch_id: int) -> tuple[Fetch, Lease] | None:
    """Claim the fetch for this process if it is queued or its worker has died; else return None.

    A fetch of a source other than this worker's is never claimed.
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
    """Renews the leases of this process; its thread ends when there are none."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leases: set[Lease] = set()
        self._is_running = False

    def add(self, lease: Lease) -> None:
        with self._lock:
            self._leases.add(lease)
            if not self._is_running:
                # Daemon: the end of the worker must not wait for this thread.
                threading.Thread(target=self.run, name="leases", daemon=True).start()
                self._is_running = True

    def remove(self, lease: Lease) -> None:
        with self._lock:
            self._leases.discard(lease)

    def run(self) -> None:
        """Renew every lease each `_RENEW_S` seconds, in the keeper's thread."""
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
                # Without this catch the thread would end, and every fetch of this process be taken over.
                logger.exception("the leases of the running fetches were not renewed")
            finally:
                # The next round opens a new connection, also after this one was cut.
                connection.close()


_keeper = _Keeper()
