"""Do one fetch: claim its row, wait for a token, fetch, check, write, record.

Every step is safe to be killed in: the row says who owns it and until when, the file is
replaced in one rename, and the catalog's row follows in a transaction.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Iterable
from datetime import timedelta
from functools import cache as remember
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import Error, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from datasets.bars import DatasetKey, FetchedBars
from datasets.catalog import contradictions, invalidation
from datasets.catalog.outputs import get_store, require_folder
from datasets.catalog.records import record_row
from datasets.errors import AuthExpired, BadBars, FetchError, RateLimited, StoreFailed
from datasets.fetching import credentials, leases, throttle
from datasets.fetching.leases import Lease
from datasets.models import Dataset, Fetch, database

if TYPE_CHECKING:
    from datasets.tradingview.client import FeedClient

logger = logging.getLogger(__name__)

# Between two notes of how many bars have come.
_PROGRESS_S = 0.5
# By so much a wait becomes longer before that is noted, and its end comes nearer or moves away.
_CHANGED = timedelta(seconds=1)


class LeaseLost(Exception):
    """Another worker has taken the fetch over; ours must write nothing."""


def run_fetch(fetch_id: int) -> bool:
    """Do the queued fetch `fetch_id` once; the row tells what came of it.

    Returns False, and does nothing, when the row is not queued any more or is of another source.
    Raises the `FetchError` that ended this attempt; whether it is tried again is for the caller
    to say with `fetch_queue.retry_later` or `give_up`.
    """
    attempt = _claim(fetch_id)
    if attempt is None:
        return False
    try:
        with attempt.lease:
            attempt.run_translated()
    except LeaseLost:
        logger.warning("fetch %s: taken over by another worker", fetch_id)
    except FetchError as error:
        if not attempt.lease.extend():
            # What ended ours says nothing of the attempt that runs now.
            logger.warning("fetch %s: not ours any more: %s", fetch_id, error)
            return True
        logger.info("fetch %s: %s: %s", fetch_id, error.code, error)
        if isinstance(error, BadBars) and error.reply:
            raise _kept(error, f"fetch-{fetch_id}") from error
        raise
    return True


def _kept(error: BadBars, name: str) -> BadBars:
    """Keep the message that held the bad bars, and let the error say where."""
    get_store().keep_reply(name, error.reply)
    return type(error)(
        f"{error} Nothing was stored. TradingView's message is kept for the operator in rejected/{name}.txt, "
        "beside the datasets; trying again helps once TradingView sends the bars right."
    )


def _ms_since(started: float) -> int:
    return round((time.monotonic() - started) * 1000)


def _claim(fetch_id: int) -> _Attempt | None:
    """Make the row ours, or return None: another worker got there first."""
    claimed = leases.claim(fetch_id)
    return _Attempt(*claimed) if claimed else None


class _Attempt:
    """One attempt at one fetch, which this process owns as long as it renews its lease."""

    def __init__(self, fetch: Fetch, lease: Lease) -> None:
        self.fetch = fetch
        self.lease = lease
        self._noted = time.monotonic()

    def run_translated(self) -> None:
        """Fetch, write and record; raises `FetchError` or `LeaseLost`."""
        try:
            self.run()
        except OSError as error:
            # From the cache's files, a package's or a socket that could not be made.
            reason = os.strerror(error.errno) if error.errno else type(error).__name__
            raise StoreFailed(
                f"The fetch could not be carried out on this machine: {reason}. "
                "Nothing was changed; mend that, then fetch again."
            ) from error

    def run(self) -> None:
        """Do what the row asks for."""
        key = self.fetch.key
        require_folder(key.source)
        started, waited_ms = time.monotonic(), self.fetch.waited_ms
        fetched = self._fetch(key)
        self.fetch.fetched_ms = _ms_since(started) - (self.fetch.waited_ms - waited_ms)
        self._note_storing(fetched.table.num_rows)
        self._write_and_record(key, fetched)

    def _fetch(self, key: DatasetKey) -> FetchedBars:
        throttle.require_no_cool_down()
        try:
            return self._fetch_signed_in(key)
        except RateLimited as error:
            # A refused sign-in has a cool-down of its own.
            if error.retry_after_s is None:
                error.retry_after_s = throttle.cool_down(error)
            raise

    def _fetch_signed_in(self, key: DatasetKey) -> FetchedBars:
        # What takes long comes before the throttle's word: between that and the call nothing does.
        _client()
        token = credentials.current_token(on_wait=self._still_here)
        try:
            return self._fetch_in_turn(key, token)
        except AuthExpired:
            fresh = credentials.current_token(refused=token, on_wait=self._still_here)
            if fresh == token:
                raise
        # Once: a token may end before its time, a fresh one should not.
        try:
            return self._fetch_in_turn(key, fresh)
        except AuthExpired as error:
            credentials.note_refusal(error)
            raise

    def _fetch_in_turn(self, key: DatasetKey, token: str) -> FetchedBars:
        self._wait_for_turn()
        # The conversation takes long, and needs none.
        database.give_connection_back()
        return _client().fetch_bars(
            key, auth_token=token, on_bars=self._progress, on_wait=self._still_here
        )

    def _wait_for_turn(self) -> None:
        """Wait until the throttle lets us call; meanwhile the row says how long already."""
        before_ms, started = self.fetch.waited_ms, time.monotonic()

        def note(seconds: float) -> None:
            self._note_wait(before_ms + _ms_since(started), seconds)

        try:
            throttle.wait_for_token(note)
        finally:
            self.fetch.waited_ms = before_ms + _ms_since(started)
            if self.fetch.allowed_at is not None:
                self._note(allowed_at=None, waited_ms=self.fetch.waited_ms)

    def _note_wait(self, waited_ms: int, seconds: float) -> None:
        """Tell whoever watches the row how long it has waited, and when it will begin about."""
        self._still_here()
        allowed_at, noted = timezone.now() + timedelta(seconds=seconds), self.fetch.allowed_at
        is_other = noted is None or abs(allowed_at - noted) > _CHANGED
        if is_other or waited_ms - self.fetch.waited_ms >= _CHANGED.total_seconds() * 1000:
            self.fetch.allowed_at, self.fetch.waited_ms = allowed_at, waited_ms
            self._note(allowed_at=allowed_at, waited_ms=waited_ms)

    def _progress(self, n_rows: int) -> None:
        self._still_here()
        if time.monotonic() - self._noted >= _PROGRESS_S:
            self._noted = time.monotonic()
            self._note(n_rows=n_rows)

    def _note(self, **values: Any) -> None:
        """Show on the row how far we are; where that cannot be written now, the fetch goes on."""
        try:
            self._mine().update(**values)
        except Error as error:
            logger.warning("fetch %s: its progress was not noted: %s", self.fetch.pk, error)
        finally:
            database.give_connection_back()

    def _note_storing(self, n_rows: int) -> None:
        """Tell whoever watches the row that all bars have come; a quick fetch is over before anybody looks."""
        if self.fetch.fetched_ms >= _PROGRESS_S * 1000:
            self._note(n_rows=n_rows, fetched_ms=self.fetch.fetched_ms)

    def _still_here(self) -> None:
        """Raise `LeaseLost` when another worker has the fetch."""
        if self.lease.is_lost:
            raise LeaseLost

    def _mine(self) -> QuerySet[Fetch]:
        return Fetch.objects.filter(
            pk=self.fetch.pk, owner=self.lease.owner, state=Fetch.State.RUNNING
        )

    def _write_and_record(self, key: DatasetKey, fetched: FetchedBars) -> None:
        started = time.monotonic()
        require_folder(key.source)
        contradicted = contradictions.find_contradicted(
            get_store(), key, fetched.table, fetched.last_bar_final
        )
        # Encoded and synced before the transaction: with SQLite nobody else writes during that.
        with get_store().prepared(key, fetched) as prepared, transaction.atomic():
            # This locks our row too, so that no worker takes over and writes in between.
            if not self.lease.extend():
                raise LeaseLost
            _lock_rows(key, contradicted)
            _refuse_pinned(key)
            stored = prepared.put_in_place()
            dataset_id = record_row(stored)
            for dataset in contradicted:
                invalidation.supersede(get_store(), dataset)
            self._mine().update(
                state=Fetch.State.SUCCEEDED,
                dataset_id=dataset_id,
                n_rows=stored.facts.n_rows,
                waited_ms=self.fetch.waited_ms,
                fetched_ms=self.fetch.fetched_ms,
                stored_ms=_ms_since(started),
                finished_at=timezone.now(),
                lease_until=None,
                error_code="",
                error_message="",
                retryable=False,
            )


def _lock_rows(key: DatasetKey, others: Iterable[Dataset]) -> None:
    """Lock the rows that a fetch changes in the one order of all, so that two never wait for each other."""
    numbers = [dataset.pk for dataset in others]
    rows = Dataset.objects.filter(Q(**key.as_dict()) | Q(pk__in=numbers)).order_by("pk")
    list(rows.select_for_update().values_list("pk"))


def _refuse_pinned(key: DatasetKey) -> None:
    """Raise `StoreFailed` when the dataset was pinned while its fetch waited or ran."""
    # Locked, so that who pins it later pins what we write.
    if Dataset.pinned(key).select_for_update().first() is not None:
        raise StoreFailed(f"{key} was pinned meanwhile and is not replaced; unpin it to fetch it.")


def _client() -> FeedClient:
    return _client_of(
        settings.TV_WS_URL, settings.TV_TIMEOUT_S, settings.TV_DEADLINE_S, threading.get_ident()
    )


@remember
def _client_of(url: str, timeout_s: float, deadline_s: float, thread: int) -> FeedClient:
    # Here, because tvDatafeed brings pandas, and a web process that never fetches starts
    # half a second sooner without.
    from datasets.tradingview.client import FeedClient

    # One for each of the worker's threads: it keeps its connection for the thread's next fetch.
    return FeedClient(url, timeout_s=timeout_s, deadline_s=deadline_s)
