"""The whole fetch in this process: row, throttle, feed, file, catalog."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from datasets import errors
from datasets.fetching import attempt, credentials, feed_clients, fetch_queue, tasks, throttle
from datasets.models import Dataset, Fetch
from datasets.storage import FolderStore
from datasets.views import phrases
from tests.support.factories import a_key
from tests.support.stacks import Feed, free_port
from tests.tradingview.test_faults import FAULTS

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def use_feed(settings: Any, clean_feed: Feed) -> Iterator[None]:
    settings.TV_WS_URL = clean_feed.ws_url
    settings.TV_SITE_URL = clean_feed.site_url
    settings.TV_TIMEOUT_S, settings.TV_DEADLINE_S = 2.0, 5.0
    feed_clients._client_of.cache_clear()
    yield
    feed_clients.feed_client().close()


def queue(**changes: Any) -> Fetch:
    return fetch_queue.open_fetch(a_key(**changes), via="api")[0]


def run(fetch: Fetch) -> Fetch:
    attempt.run_fetch(fetch.pk)
    fetch.refresh_from_db()
    return fetch


def test_a_fetch_leaves_a_file_a_dataset_row_and_its_own_times(store: FolderStore) -> None:
    fetch = run(queue(n_bars=300))

    dataset = Dataset.objects.get()
    assert (fetch.state, fetch.dataset, fetch.n_rows, fetch.attempts) == (
        "succeeded",
        dataset,
        300,
        1,
    )
    assert fetch.fetched_ms > 0
    assert fetch.finished_at is not None
    table, stored = store.read(dataset.path)
    assert table.num_rows == dataset.n_rows == 300
    assert stored.facts.content_hash == dataset.content_hash
    assert dataset.instrument["full_name"] == "BINANCE:BTCUSDT"
    assert dataset.tvdatafeed_version == "2.1.1"
    assert dataset.coverage is not None
    assert dataset.coverage["share_held"] == 1.0


def test_the_row_of_a_slow_fetch_shows_that_its_bars_are_being_stored(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attempt, "_PROGRESS_S", 0)
    # The folder cannot be made, so the write fails after the row is updated.
    store.folder.mkdir(parents=True, exist_ok=True)
    (store.folder / "sample").write_text("")
    fetch = queue(n_bars=300)

    with pytest.raises(errors.StoreFailed):
        attempt.run_fetch(fetch.pk)

    fetch.refresh_from_db()
    assert (fetch.state, fetch.n_rows) == ("running", 300)
    assert fetch.fetched_ms > 0
    assert phrases.outcome_of(fetch).sentence == "Storing 300 bars."


def test_a_second_message_for_the_same_fetch_does_nothing(clean_feed: Feed) -> None:
    fetch = run(queue())

    run(fetch)

    assert fetch.attempts == 1
    assert clean_feed.stats()["conversations"] == 1


def test_one_key_has_one_active_fetch(clean_feed: Feed) -> None:
    first, second = queue(), queue()

    assert first == second
    assert queue(n_bars=299) != first


@pytest.mark.parametrize(("name", "code"), [fault[:2] for fault in FAULTS])
def test_a_failed_attempt_leaves_the_old_dataset_unchanged(
    settings: Any, clean_feed: Feed, store: FolderStore, name: str, code: str
) -> None:
    run(queue())
    before = Dataset.objects.get()
    content = (store.folder / before.path).read_bytes()
    # A new connection with a short time limit.
    feed_clients.feed_client().close()
    settings.TV_TIMEOUT_S, settings.TV_DEADLINE_S = 0.3, 0.6
    clean_feed.arm(name, **({"bytes": 40_000_000} if name == "huge_message" else {}))

    with pytest.raises(errors.FetchError) as caught:
        attempt.run_fetch(queue().pk)
    assert caught.value.code == code
    # Two sentences: what happened, and what it means or what to do.
    assert len(re.findall(r"[.;] ", str(caught.value))) >= 1

    after = Dataset.objects.get()
    assert (after.state, after.content_hash, after.version) == (
        "ready",
        before.content_hash,
        before.version,
    )
    assert (store.folder / before.path).read_bytes() == content


def test_a_reply_with_bad_bars_is_kept_for_the_operator(
    clean_feed: Feed, store: FolderStore
) -> None:
    clean_feed.arm("nan_price")
    fetch = queue()

    with pytest.raises(errors.BadBars):
        attempt.run_fetch(fetch.pk)

    kept = store.folder.parent / "rejected" / f"fetch-{fetch.pk}.txt"
    assert b"NaN" in kept.read_bytes()
    assert not Dataset.objects.exists()


def test_a_token_refused_once_is_replaced_by_signing_in_again(
    settings: Any, clean_feed: Feed
) -> None:
    settings.TV_USERNAME, settings.TV_PASSWORD = "staletoken", "lovelace"

    assert run(queue()).state == "succeeded"
    assert clean_feed.stats()["sign_ins"] == 2


def test_a_token_refused_twice_is_an_expired_sign_in(settings: Any, clean_feed: Feed) -> None:
    settings.TV_USERNAME, settings.TV_PASSWORD = "badtoken", "lovelace"

    with pytest.raises(errors.AuthExpired):
        attempt.run_fetch(queue().pk)
    assert clean_feed.stats()["sign_ins"] == 2


def test_refused_fresh_tokens_start_a_cool_down_of_sign_ins(
    settings: Any, clean_feed: Feed
) -> None:
    settings.TV_USERNAME, settings.TV_PASSWORD = "badtoken", "lovelace"

    for n_bars in (10, 20, 30):
        with pytest.raises(errors.AuthExpired) as caught:
            attempt.run_fetch(queue(n_bars=n_bars).pk)

    assert caught.value.retry_after_s is not None
    assert credentials.sign_in_state()["state"] == "refused"
    stats = clean_feed.stats()
    assert (stats["sign_ins"], stats["connections_opened"]) == (2, 2)


def test_a_ready_token_that_is_refused_is_not_sent_again(settings: Any, clean_feed: Feed) -> None:
    settings.TV_AUTH_TOKEN = "no.such.token"

    with pytest.raises(errors.AuthExpired, match="TV_AUTH_TOKEN"):
        attempt.run_fetch(queue().pk)
    assert clean_feed.stats()["connections_opened"] == 1


@pytest.mark.usefixtures("clean_feed")
def test_the_call_with_a_fresh_token_waits_for_the_throttle_too(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TV_USERNAME, settings.TV_PASSWORD = "staletoken", "lovelace"
    calls: list[float] = []
    monkeypatch.setattr(throttle, "wait_for_call", lambda *on_wait, **how: calls.append(0.0))

    assert run(queue()).state == "succeeded"
    assert len(calls) == 2


def test_too_many_calls_after_a_stale_token_also_pause_all_workers(
    settings: Any, clean_feed: Feed
) -> None:
    settings.TV_USERNAME, settings.TV_PASSWORD = "ada", "lovelace"
    clean_feed.arm("bad_auth_token", times=1)
    clean_feed.arm("banned", times=1)

    with pytest.raises(errors.RateLimited):
        attempt.run_fetch(queue().pk)
    assert throttle.cool_down_left() > 50


def test_a_refused_sign_in_never_becomes_a_guest(settings: Any, clean_feed: Feed) -> None:
    settings.TV_USERNAME, settings.TV_PASSWORD = "wrong", "lovelace"

    with pytest.raises(errors.AuthFailed):
        attempt.run_fetch(queue().pk)
    assert clean_feed.stats()["conversations"] == 0


def test_a_refusal_for_too_many_calls_pauses_all_workers_and_names_the_seconds(
    clean_feed: Feed,
) -> None:
    clean_feed.arm("banned_by_ip", times=1)
    with pytest.raises(errors.RateLimited) as caught:
        attempt.run_fetch(queue().pk)
    assert caught.value.retry_after_s == 60
    assert 50 < throttle.cool_down_left() <= 60

    with pytest.raises(errors.RateLimited):
        attempt.run_fetch(queue(n_bars=5).pk)

    assert clean_feed.stats()["connections_opened"] == 1


def test_each_refusal_within_the_hour_doubles_the_cool_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic_ns", lambda: int(now * 1e9))
    pauses = []

    for _ in range(7):
        pauses.append(throttle.cool_down(errors.RateLimited("no")))
        now += pauses[-1] + 60
    now += 3600
    pauses.append(throttle.cool_down(errors.RateLimited("no")))

    assert pauses == [60, 120, 240, 480, 960, 1800, 1800, 60]


def test_refusals_of_calls_from_before_a_cool_down_do_not_lengthen_it() -> None:
    pauses = [throttle.cool_down(errors.RateLimited("no")) for _ in range(4)]

    assert pauses[0] == 60
    assert all(55 < pause <= 60 for pause in pauses)


# --- the task after an error -------------------------------------------------------------


def do(fetch: Fetch) -> Fetch:
    assert tasks.attempt(fetch.pk)
    fetch.refresh_from_db()
    return fetch


def pause_of(fetch: Fetch) -> float:
    """Return the seconds until the fetch's next attempt."""
    assert fetch.next_attempt_at is not None
    return (fetch.next_attempt_at - timezone.now()).total_seconds()


def test_a_permanent_error_ends_the_fetch(clean_feed: Feed) -> None:
    clean_feed.arm("invalid_symbol")

    fetch = do(queue())

    assert (fetch.state, fetch.error_code, fetch.retryable) == ("failed", "symbol_not_found", False)
    assert "TradingView does not know BINANCE:BTCUSDT" in fetch.error_message


def test_a_retryable_error_shows_on_the_row_until_the_next_attempt(
    settings: Any,
) -> None:
    settings.TV_WS_URL = f"ws://127.0.0.1:{free_port()}/"

    fetch = do(queue())

    assert (fetch.state, fetch.error_code, fetch.retryable, fetch.attempts) == (
        "queued",
        "feed_unreachable",
        True,
        1,
    )
    assert 0 < pause_of(fetch) < 1.3


def test_the_third_failure_of_a_fetch_ends_it(settings: Any) -> None:
    settings.TV_WS_URL = f"ws://127.0.0.1:{free_port()}/"
    fetch = queue()

    states = [do(fetch).state for _ in range(tasks.MAX_ATTEMPTS)]

    assert states == ["queued", "queued", "failed"]


def test_the_next_attempt_begins_after_the_cool_down(clean_feed: Feed) -> None:
    clean_feed.arm("banned")

    assert 59 <= pause_of(do(queue())) < 63


# --- dead workers ------------------------------------------------------------------------


def _pretend(fetch: Fetch, **values: Any) -> Fetch:
    Fetch.objects.filter(pk=fetch.pk).update(**values)
    return fetch


def test_a_fetch_whose_worker_died_is_the_next_to_begin() -> None:
    past = timezone.now() - timedelta(minutes=5)
    waiting = queue(symbol="ETHUSDT")
    dead = _pretend(queue(), state="running", owner="dead", lease_until=past, attempts=1)

    assert fetch_queue.next_fetches(at_most=10) == [dead.pk, waiting.pk]
    assert run(dead).state == "succeeded"
    assert dead.attempts == 2


def test_a_running_fetch_or_one_that_waits_for_its_next_attempt_does_not_begin() -> None:
    soon = timezone.now() + timedelta(seconds=5)
    _pretend(queue(n_bars=1), state="running", lease_until=soon)
    _pretend(queue(n_bars=3), next_attempt_at=soon)

    assert fetch_queue.next_fetches(at_most=10) == []


def test_a_fetch_that_kills_every_worker_ends_as_failed() -> None:
    past = timezone.now() - timedelta(minutes=5)
    values = {"state": "running", "lease_until": past, "attempts": fetch_queue.MAX_CLAIMS}
    fetch = _pretend(queue(), **values)

    assert fetch_queue.next_fetches(at_most=10) == []

    fetch.refresh_from_db()
    assert (fetch.state, fetch.error_code) == ("failed", "worker_lost")


def test_an_attempt_that_was_taken_over_writes_nothing(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetch = queue()
    real_fetch = attempt.Attempt.fetch_bars

    def taken_over(self: Any, key: Any) -> Any:
        bars = real_fetch(self, key)
        Fetch.objects.filter(pk=fetch.pk).update(owner="another")
        return bars

    monkeypatch.setattr(attempt.Attempt, "fetch_bars", taken_over)

    run(fetch)

    assert (fetch.state, fetch.owner) == ("running", "another")
    assert list(store.all_paths()) == []


def test_only_a_queued_fetch_is_cancelled() -> None:
    fetch = queue()

    assert fetch_queue.cancel(fetch)
    assert not fetch_queue.cancel(fetch)
    assert run(fetch).state == "cancelled"
    assert queue() != fetch


def test_a_fetch_that_waits_for_the_throttle_shows_the_time_waited_and_the_end_of_the_wait(
    settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TV_RATE_PER_MINUTE, settings.TV_BURST = 60, 1
    first, second = queue(), queue(symbol="ETHUSDT")
    run(first)
    seen: list[Any] = []
    note_wait = attempt.Attempt.note_wait

    def watched(self: Any, waited_ms: int, seconds: float) -> None:
        note_wait(self, waited_ms, seconds)
        seen.append(Fetch.objects.get(pk=second.pk))

    monkeypatch.setattr(attempt.Attempt, "note_wait", watched)
    began = timezone.now()
    run(second)

    assert began < seen[0].allowed_at < began + timedelta(seconds=3)
    assert 1000 <= seen[-1].waited_ms <= second.waited_ms
    assert second.state == "succeeded"
    assert second.allowed_at is None
    assert second.waited_ms < 3000


def test_a_dataset_that_is_pinned_while_its_fetch_waits_is_not_replaced(store: FolderStore) -> None:
    before = run(queue(n_bars=300)).dataset
    assert before is not None
    fetch = queue(n_bars=300)
    Dataset.objects.update(is_pinned=True)

    with pytest.raises(errors.StoreFailed, match="pinned"):
        attempt.run_fetch(fetch.pk)

    after = Dataset.objects.get()
    assert (after.state, after.fetched_at) == ("ready", before.fetched_at)
    assert store.version(after.path) == before.version
