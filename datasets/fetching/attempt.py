"""One attempt at one fetch: claim the row, wait for the throttle, call TradingView, write the file, record the row.

The process may be killed at any step. The row names its owner and the end of the lease,
one rename replaces the file, and a transaction updates the catalog's row.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import Error, transaction
from django.db.models import QuerySet

from datasets import log_context
from datasets.archive.arrivals import prepared_arrival
from datasets.archive.fetch_windows import leaves_hole, window_of
from datasets.archive.following.recovery import recover_series
from datasets.archive.merging import WindowNeeded
from datasets.bars import DatasetKey, FetchedBars
from datasets.bars.instants import in_milliseconds
from datasets.bars.series_keys import SeriesKey
from datasets.catalog.outputs import get_store, require_folder
from datasets.errors import AuthExpired, BadBars, FetchError, RateLimited, StoreError, StoreFailed
from datasets.fetching import credentials, fetch_queue, leases, throttle
from datasets.fetching.feed_clients import feed_client
from datasets.fetching.leases import GaveWay, Lease, LeaseLost
from datasets.models import Fetch, database

logger = logging.getLogger(__name__)

# Shortest time between two updates of the row's number of bars, and smallest change of a wait.
_PROGRESS_S = 0.5
_CHANGED = timedelta(seconds=1)


def run_fetch(fetch_id: int) -> bool:
    """Run one attempt at the queued fetch `fetch_id`; its row holds the result.

    Returns False, and changes nothing, when the row is no longer queued or belongs to another
    source. Raises `GaveWay` when the caller must look for the next fetch at once, and the `FetchError` that ended this attempt; the caller then calls
    `fetch_queue.retry_later` or `fetch_queue.give_up`.
    """
    claimed = leases.claim(fetch_id)
    if claimed is None:
        return False
    fetch, lease = claimed
    with log_context.with_ids(fetch.request_id, fetch_id):
        return _run(fetch, lease)


def _run(fetch: Fetch, lease: Lease) -> bool:
    """Run the attempt, and log its end where it failed; otherwise as `run_fetch`."""
    fetch_id = fetch.pk
    try:
        with lease:
            Attempt(fetch, lease).run()
    except GaveWay:
        fetch_queue.give_way(fetch_id, lease.owner)
        raise
    except LeaseLost:
        logger.warning("fetch %s: taken over by another worker", fetch_id)
    except FetchError as error:
        if not lease.extend():
            # The row belongs to another worker's attempt now, so this error must not end it.
            logger.warning(
                "fetch %s: taken over by another worker; this attempt ended: %s", fetch_id, error
            )
            return True
        logger.info("fetch %s: %s: %s", fetch_id, error.code, error)
        if isinstance(error, BadBars) and error.reply:
            name = f"fetch-{fetch_id}"
            get_store().keep_reply(name, error.reply)
            raise type(error)(
                f"{error} Nothing was stored. TradingView's message is kept for the operator in rejected/{name}.txt, "
                "beside the datasets. Try again once TradingView sends correct bars."
            ) from error
        raise
    return True


def _ms_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


class Attempt:
    """One attempt at one fetch; this process owns the fetch while it renews the lease."""

    def __init__(self, fetch: Fetch, lease: Lease) -> None:
        self.fetch = fetch
        self.lease = lease
        self._noted = time.monotonic()
        self._has_called = False

    def run(self) -> None:
        """Fetch the bars, write the file and record it; raises `FetchError` or `LeaseLost`."""
        key = self.fetch.key
        try:
            require_folder(key.source)
            if self.fetch.attempts > 1:
                # The last attempt can have died between the archive and the rows.
                recover_series(SeriesKey.of(key))
            started, waited_ms = time.monotonic(), self.fetch.waited_ms
            fetched, n_asked = self.fetch_window(key)
            self.fetch.fetched_ms = _ms_since(started) - (self.fetch.waited_ms - waited_ms)
            if self.fetch.fetched_ms >= _PROGRESS_S * 1000:
                # A quicker fetch ends before anybody reads the row.
                self._note(n_rows=fetched.table.num_rows, fetched_ms=self.fetch.fetched_ms)
            self.store_bars(key, fetched, n_asked=n_asked)
        except StoreError as error:
            # Another fetch does not repair an archive: its older bars cannot be fetched any more.
            raise StoreFailed(
                f"The archive of the series is damaged. {error} Nothing was stored. Bring the file back from a backup, "
                "then fetch again."
            ) from error
        except OSError as error:
            # A file of the cache or of a package, or a socket, could not be opened.
            reason = os.strerror(error.errno) if error.errno else type(error).__name__
            raise StoreFailed(
                f"This machine could not make the fetch: {reason}. "
                "Nothing was changed. Repair the cause, then fetch again."
            ) from error

    def fetch_window(self, key: DatasetKey) -> tuple[FetchedBars, int]:
        """Fetch the bars that the archive lacks for the dataset; return them, and the number requested."""
        n_asked = window_of(
            key,
            now=database.shared_now(),
            max_bars=settings.TV_MAX_BARS,
            newest_only=self.fetch.priority == Fetch.Priority.SCHEDULE,
        )
        fetched = self.fetch_bars(replace(key, n_bars=n_asked))
        if n_asked < settings.TV_MAX_BARS and leaves_hole(key, fetched):
            # The feed sent fewer bars than requested.
            n_asked = settings.TV_MAX_BARS
            fetched = self.fetch_bars(replace(key, n_bars=n_asked))
        return fetched, n_asked

    def fetch_bars(self, key: DatasetKey) -> FetchedBars:
        """Wait for the throttle and call TradingView; a refused auth token is renewed once."""
        throttle.require_no_cool_down()
        # Slow steps come before the throttle: the call must follow its permission at once.
        feed_client()
        auth_token, refused = credentials.current_auth_token(on_wait=self._require_lease), ""
        while True:
            self.wait_for_call()
            # The conversation takes seconds and uses no database connection.
            database.give_connection_back()
            try:
                fetched = feed_client().fetch_bars(
                    key,
                    auth_token=auth_token,
                    on_bars=self.note_bars,
                    on_wait=self._require_lease,
                )
                # All hosts date the bars by one clock: a web host whose clock differs would find
                # them too old, or from the future.
                return replace(fetched, fetched_at=in_milliseconds(database.shared_now()))
            except RateLimited as error:
                if error.retry_after_s is None:
                    error.retry_after_s = throttle.cool_down(error)
                raise
            except AuthExpired as error:
                if refused:
                    # A fresh auth token was refused too: the sign-in itself does not work.
                    credentials.note_refusal(error)
                    raise
                refused = auth_token
                auth_token = credentials.current_auth_token(
                    refused=refused, on_wait=self._require_lease
                )
                if auth_token == refused:
                    raise

    def wait_for_call(self) -> None:
        """Wait until the throttle allows one call; the row shows the time waited meanwhile."""
        before_ms, started = self.fetch.waited_ms, time.monotonic()
        is_late = self.fetch.priority >= Fetch.Priority.SCHEDULE
        try:
            throttle.wait_for_call(
                lambda seconds: self.note_wait(before_ms + _ms_since(started), seconds),
                gives_way=self.gives_way if is_late else None,
            )
            self._has_called = True
        finally:
            self.fetch.waited_ms = before_ms + _ms_since(started)
            if self.fetch.allowed_at is not None:
                self._note(allowed_at=None, waited_ms=self.fetch.waited_ms)

    def gives_way(self) -> bool:
        """Return whether a fetch of a better priority waits for the throttle too.

        Raises `GaveWay` when such a fetch is queued, unless this attempt has called the feed
        already: the bars of that call would be lost.
        """
        found = self._own_row().values_list("priority", flat=True).first()
        # A person may have requested this fetch meanwhile.
        self.fetch.priority = self.fetch.priority if found is None else found
        try:
            if not self._has_called and fetch_queue.is_better_queued(self.fetch):
                raise GaveWay
            return fetch_queue.is_better_waiting(self.fetch)
        finally:
            database.give_connection_back()

    def note_wait(self, waited_ms: int, seconds: float) -> None:
        """Show on the row the time waited so far and the instant at which the call may begin."""
        self._require_lease()
        allowed_at, noted = (
            database.shared_now() + timedelta(seconds=seconds),
            self.fetch.allowed_at,
        )
        is_other = noted is None or abs(allowed_at - noted) > _CHANGED
        if is_other or waited_ms - self.fetch.waited_ms >= _CHANGED.total_seconds() * 1000:
            self.fetch.allowed_at, self.fetch.waited_ms = allowed_at, waited_ms
            self._note(allowed_at=allowed_at, waited_ms=waited_ms)

    def note_bars(self, n_rows: int) -> None:
        """Show on the row the number of bars received so far."""
        self._require_lease()
        if time.monotonic() - self._noted >= _PROGRESS_S:
            self._noted = time.monotonic()
            self._note(n_rows=n_rows)

    def store_bars(self, key: DatasetKey, fetched: FetchedBars, *, n_asked: int) -> None:
        """Merge the bars into the archive, and write the dataset; errors as for `write_and_record`.

        Where the basis of the prices has changed, as after a split, the whole window is fetched
        first, so that no answer mixes two bases.
        """
        try:
            self.write_and_record(key, fetched, n_asked=n_asked)
        except WindowNeeded as changed:
            window = replace(key, n_bars=max(key.n_bars, settings.TV_MAX_BARS))
            logger.info("fetch %s: %s of the held bars: %s", self.fetch.pk, changed, window)
            self.write_and_record(key, self.fetch_bars(window), n_asked=window.n_bars)

    def write_and_record(self, key: DatasetKey, fetched: FetchedBars, *, n_asked: int) -> None:
        """Write the files, and in one transaction put them in place and update the rows.

        Raises `LeaseLost` when another worker owns the fetch, `StoreFailed` when the dataset
        is pinned or a file cannot be written, and `WindowNeeded`.
        """
        started = time.monotonic()
        require_folder(key.source)
        # Fewer bars than requested prove nothing: a throttled feed sends fewer too.
        is_whole_window = n_asked >= settings.TV_MAX_BARS
        # Encode and sync before the transaction: an open one blocks all other writers of SQLite.
        with (
            prepared_arrival(key, fetched, is_whole_window=is_whole_window) as prepared,
            transaction.atomic(),
        ):
            # This update also locks the fetch's row: no other worker can take it over and write.
            if not self.lease.extend():
                raise LeaseLost
            recorded = prepared.put_in_place(fetch_id=self.fetch.pk)
            self._own_row().update(
                state=Fetch.State.SUCCEEDED,
                dataset_id=recorded.dataset_id,
                series_id=recorded.series_id,
                n_rows=recorded.n_rows,
                waited_ms=self.fetch.waited_ms,
                fetched_ms=self.fetch.fetched_ms,
                stored_ms=_ms_since(started),
                finished_at=database.shared_now(),
                lease_until=None,
                error_code="",
                error_message="",
                retryable=False,
            )

    def _require_lease(self) -> None:
        """Raise `LeaseLost` when another worker owns the fetch."""
        if self.lease.is_lost:
            raise LeaseLost

    def _own_row(self) -> QuerySet[Fetch]:
        return Fetch.objects.filter(
            pk=self.fetch.pk, owner=self.lease.owner, state=Fetch.State.RUNNING
        )

    def _note(self, **values: Any) -> None:
        """Update the row's progress; the fetch goes on when the database refuses the update."""
        try:
            self._own_row().update(**values)
        except Error as error:
            logger.warning("fetch %s: the row's progress was not updated: %s", self.fetch.pk, error)
        finally:
            database.give_connection_back()
