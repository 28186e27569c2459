"""The process of the live connection: claims the lease, connects while series are watched, and writes their states."""

from __future__ import annotations

import logging
import random
import threading
import time
from contextlib import closing

from django.conf import settings
from django.db import Error, close_old_connections
from django.db.models import F

from datasets.alerts import check_forming
from datasets.errors import AuthExpired, DatasetsError, FetchError, RateLimited
from datasets.fetching import credentials, throttle
from datasets.live.closed_bars import ClosedBars
from datasets.live.connection_lease import ConnectionLease
from datasets.live.live_states import LeaseTaken, write_states
from datasets.live.watched_series import delete_unwatched, watch_alerted, watched_series
from datasets.models import LiveSeries, database
from datasets.tradingview.updates.subscription import Subscription
from datasets.tradingview.updates.update_stream import MOST_OPENINGS, UpdateStream

logger = logging.getLogger(__name__)

# Between two looks for a free lease, and for watched series.
_CLAIM_EVERY_S = 5.0
_LOOK_EVERY_S = 1.0
# Between two rounds of the open connection: of openings, and of writes for one series.
_ROUND_S = 0.5
# Between two looks for series that only an alert needs.
_ALERTED_EVERY_S = 10.0
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
# A connection that has lasted this long was a good one: the next pause is short again.
_GOOD_S = 60.0


class _Over(Exception):
    """The present connection is not needed any more, or may not be used any more."""


def follow_watched(is_stopping: threading.Event) -> None:
    """Run until `is_stopping` is set; of all hosts one process holds the connection, and the others wait."""
    while not is_stopping.is_set():
        close_old_connections()
        lease = ConnectionLease()
        try:
            if settings.TV_ENABLED and lease.claim():
                delete_unwatched()
                with lease:
                    LiveFollower(lease, is_stopping).run()
        except Error as error:
            logger.warning("the live connection was not claimed: %s", error)
        database.give_connection_back()
        is_stopping.wait(_CLAIM_EVERY_S)


class LiveFollower:
    """The holder of the lease: follows the watched series over one connection.

    Parameters
    ----------
    lease
        The claimed lease, inside its `with` block.
    is_stopping
        Set when the process has to end.
    """

    def __init__(self, lease: ConnectionLease, is_stopping: threading.Event) -> None:
        self._lease = lease
        self._is_stopping = is_stopping
        self._closed_bars = ClosedBars()
        self._refused_token = ""
        self._stream: UpdateStream | None = None
        # Of each followed series its subscription, and the number of its changes that are written.
        self._followed: dict[int, tuple[Subscription, int]] = {}
        self._rounded = 0.0
        self._alerted = float("-inf")

    def run(self) -> None:
        """Connect while series are watched; return when the lease is lost or the process ends."""
        pause_s = FIRST_PAUSE_S
        while not (self._is_stopping.is_set() or self._lease.is_lost):
            started = time.monotonic()
            try:
                self._watch_alerted()
                if watched_series(self._lease.owner):
                    self._follow()
                wait_s = _LOOK_EVERY_S
            except (_Over, LeaseTaken):
                wait_s = _LOOK_EVERY_S
            except Error as error:
                logger.warning("the live bars were not written: %s", error)
                wait_s = _LOOK_EVERY_S
            except DatasetsError as error:
                pause_s = FIRST_PAUSE_S if time.monotonic() > started + _GOOD_S else pause_s
                asked_s = error.retry_after_s if isinstance(error, FetchError) else None
                wait_s = max(asked_s or 0.0, pause_s * random.uniform(0.75, 1.25))
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)
                self._note_failure(error, wait_s)
            database.give_connection_back()
            self._is_stopping.wait(min(wait_s, LONGEST_PAUSE_S))

    def _follow(self) -> None:
        """Open the connection and read it until no series is watched. Raises `_Over` and `DatasetsError`."""
        token = credentials.current_auth_token(refused=self._refused_token, on_wait=self._check)
        throttle.wait_for_call(lambda seconds: self._check())
        try:
            stream = UpdateStream.open(settings.TV_WS_URL, token, on_wait=self._round)
            with closing(stream):
                self._stream, self._followed = stream, {}
                self._lease.note(
                    connected_at=database.now(),
                    n_opened=F("n_opened") + 1,
                    error_code="",
                    error_message="",
                )
                while True:
                    self._round()
                    stream.receive()
        except AuthExpired:
            self._refused_token = token
            raise
        finally:
            if self._stream is not None:
                self._stream = None
                self._lease.note(connected_at=None, lost_at=database.now())

    def _check(self) -> None:
        """Raise `_Over` when this process may not hold the connection any more."""
        if self._is_stopping.is_set() or self._lease.is_lost:
            raise _Over

    def _round(self) -> None:
        """Twice a second: open and close subscriptions, write what has changed, request closed bars."""
        self._check()
        stream = self._stream
        if stream is None or time.monotonic() < self._rounded + _ROUND_S:
            return
        self._rounded = time.monotonic()
        self._watch_alerted()
        watched = {live.series_id: live for live in watched_series(self._lease.owner)}
        if not watched or stream.n_openings >= MOST_OPENINGS:
            raise _Over
        for series_id in set(self._followed) - set(watched):
            stream.unsubscribe(self._followed.pop(series_id)[0])
        self._open_one(stream, watched)
        self._write(watched)
        self._request_closed(watched)
        database.give_connection_back()

    def _watch_alerted(self) -> None:
        if time.monotonic() >= self._alerted + _ALERTED_EVERY_S:
            self._alerted = time.monotonic()
            watch_alerted()

    def _open_one(self, stream: UpdateStream, watched: dict[int, LiveSeries]) -> None:
        """Subscribe to one more series, if the throttle allows a call now."""
        missing = [live for series_id, live in watched.items() if series_id not in self._followed]
        if not missing:
            return
        try:
            throttle.wait_for_call(at_most_s=0)
        except RateLimited:
            # A later round tries again.
            return
        live = missing[0]
        subscription = stream.subscribe(live.series.series_key)
        self._followed[live.series_id] = (subscription, -1)

    def _write(self, watched: dict[int, LiveSeries]) -> None:
        """Write the states that have changed since the last round."""
        changed = []
        for series_id, (subscription, n_written) in self._followed.items():
            n_changes = subscription.n_changes
            is_ready = subscription.is_complete or subscription.error is not None
            if is_ready and n_changes != n_written:
                changed.append((watched[series_id], subscription))
                self._followed[series_id] = (subscription, n_changes)
        write_states(self._lease, changed)
        # After the write, so that only the holder of the connection checks.
        check_forming(
            {live.series_id: found.bars for live, found in changed if found.error is None}
        )

    def _request_closed(self, watched: dict[int, LiveSeries]) -> None:
        now = database.shared_now()
        for series_id, (subscription, _) in self._followed.items():
            if subscription.is_complete and subscription.error is None:
                self._closed_bars.request(
                    watched[series_id].series, subscription, now, n_series=len(self._followed)
                )

    def _note_failure(self, error: DatasetsError, wait_s: float) -> None:
        logger.warning("the live connection ended, next attempt in %.0f s: %s", wait_s, error)
        if isinstance(error, RateLimited) and error.retry_after_s is None:
            throttle.cool_down(error)
        try:
            self._lease.note(
                failed_at=database.now(),
                failure=f"{error.code}: {error}",
                error_code=error.code,
                error_message=str(error),
            )
        except Error as problem:
            logger.warning("the failure was not noted: %s", problem)
