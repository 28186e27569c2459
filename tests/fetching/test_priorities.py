"""A person's fetch comes before the API's, and both before the schedule's; a click waits for one call at most."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests

from datasets import errors
from datasets.fetching import fetch_queue, leases, throttle
from datasets.fetching.attempt import Attempt
from datasets.fetching.call_log import FileLog, RedisLog, Window
from datasets.fetching.leases import GaveWay
from datasets.models import Fetch
from tests.support.factories import a_key
from tests.support.stacks import Feed, Stack, wait_until

Priority = Fetch.Priority


@pytest.fixture
def paced_stack(clean_feed: Feed, tmp_path: Path) -> Iterator[Stack]:
    """A stack that calls the feed once in 1.25 s, at an even pace."""
    stack = Stack(tmp_path, clean_feed, TV_RATE_PER_MINUTE="60", TV_BURST="2")
    yield stack
    stack.stop()


def queue(symbol: str, via: str, *, by: str = "") -> Fetch:
    return fetch_queue.open_fetch(a_key(symbol=symbol), via=via, by=by)[0]


def order() -> list[str]:
    symbols = dict(Fetch.objects.values_list("pk", "symbol"))
    return [symbols[pk] for pk in fetch_queue.next_fetches(at_most=1000)]


def claimed(fetch: Fetch) -> Attempt:
    """Return an attempt that owns the fetch."""
    found = leases.claim(fetch.pk)
    assert found is not None
    return Attempt(*found)


# --- the queue ----------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_better_priority_begins_first_and_clients_take_turns_within_one() -> None:
    for number in range(2):
        queue(f"BACKFILL{number}", "backfill")
    for number in range(2):
        queue(f"SCHEDULE{number}", "schedule")
    for number in range(2):
        queue(f"ALICE{number}", "api", by="alice")
    queue("BOB", "api", by="bob")
    queue("COMMAND", "command")
    queue("CLICK", "page", by="carol")

    assert order() == [
        "CLICK", "ALICE0", "BOB", "COMMAND", "ALICE1", "SCHEDULE0", "SCHEDULE1", "BACKFILL0", "BACKFILL1",
    ]  # fmt: skip


@pytest.mark.django_db
def test_a_scheduled_fetch_that_a_person_requests_is_raised() -> None:
    for number in range(3):
        queue(f"S{number}", "schedule")
    queue("API", "api")

    joined, is_new = fetch_queue.open_fetch(a_key(symbol="S2"), via="page", by="carol")

    assert not is_new
    assert joined.priority == Priority.PERSON
    assert order() == ["S2", "API", "S0", "S1"]
    # The schedule takes nothing back.
    queue("S2", "schedule")
    assert order()[0] == "S2"


@pytest.mark.django_db
def test_a_dead_workers_scheduled_fetch_does_not_come_before_a_click() -> None:
    dead = queue("DEAD", "schedule")
    queue("S", "schedule")
    queue("CLICK", "page")
    Fetch.objects.filter(pk=dead.pk).update(state="running", lease_until="2020-01-01T00:00Z")

    assert order() == ["CLICK", "DEAD", "S"]


@pytest.mark.django_db
def test_scheduled_fetches_leave_the_queues_places_to_people(settings: Any) -> None:
    settings.MAX_QUEUED = 2
    for number in range(2):
        queue(f"S{number}", "schedule")

    with pytest.raises(errors.QueueFull):
        queue("S2", "schedule")
    for number in range(2):
        queue(f"A{number}", "api")
    with pytest.raises(errors.QueueFull):
        queue("CLICK", "page")


# --- giving way ---------------------------------------------------------------------------


@pytest.mark.django_db
def test_a_scheduled_attempt_gives_way_to_a_queued_click_and_does_not_count() -> None:
    scheduled = queue("S", "schedule")
    attempt = claimed(scheduled)
    assert attempt.gives_way() is False
    click = queue("CLICK", "page")

    with pytest.raises(GaveWay):
        attempt.gives_way()
    fetch_queue.give_way(scheduled.pk, attempt.lease.owner)

    scheduled.refresh_from_db()
    assert (scheduled.state, scheduled.attempts, scheduled.failures) == ("queued", 0, 0)
    assert order() == ["CLICK", "S"]
    # The click has been claimed, and waits for the throttle: the schedule takes no call before it.
    Fetch.objects.filter(pk=click.pk).update(state="running", allowed_at="2025-01-01T00:00Z")
    assert claimed(scheduled).gives_way() is True


@pytest.mark.django_db
def test_a_scheduled_attempt_that_a_person_has_requested_gives_way_no_more() -> None:
    attempt = claimed(queue("S", "schedule"))
    queue("CLICK", "page")

    queue("S", "page")

    assert attempt.gives_way() is False


@pytest.mark.parametrize(("per_minute", "burst"), [(20, 3), (20, 1), (60, 2), (12, 12)])
def test_scheduled_calls_keep_the_pace_and_delay_a_click_by_one_interval_at_most(
    tmp_path: Path, settings: Any, monkeypatch: pytest.MonkeyPatch, per_minute: int, burst: int
) -> None:
    settings.TV_RATE_PER_MINUTE, settings.TV_BURST = per_minute, burst
    settings.STATE_DIR = tmp_path
    now_ms, waits, n_calls = 10**9, [], 0
    monkeypatch.setattr(time, "monotonic_ns", lambda: now_ms * 10**6)
    interval_ms = throttle.spacing_ms()
    log = throttle._log()

    end_ms = now_ms + 4 * 60_000
    while now_ms < end_ms:
        found = log.take("fetches", next_within_ms=interval_ms)
        n_calls += not found.wait_ms
        waits.append(log.look("fetches").wait_ms)
        now_ms += found.wait_ms or 1

    assert max(waits) <= interval_ms
    # One call less than the windows allow, at most.
    assert n_calls >= 4 * 60_000 // interval_ms


@pytest.mark.parametrize("kind", ["file", "redis"])
def test_both_logs_allow_a_scheduled_call_only_if_another_can_follow_soon(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    windows = [Window(2, 60_000)]
    log: FileLog | RedisLog
    if kind == "redis":
        log = RedisLog(request.getfixturevalue("redis_url"), windows)
    else:
        log = FileLog(tmp_path / "calls", windows)

    assert log.take("fetches", next_within_ms=20_000).wait_ms == 0
    # It would fill the window, which has room again 60 s after the first call.
    assert 39_000 < log.take("fetches", next_within_ms=20_000).wait_ms <= 40_000
    assert log.take("fetches").wait_ms == 0


# --- the real worker ----------------------------------------------------------------------

_THIRTY_SCHEDULED = """
from datasets.bars import DatasetKey
from datasets.fetching import fetch_queue
for number in range(30):
    key = DatasetKey.parse(source="sample", exchange="LOAD", symbol=f"S{number}", n_bars=50)
    fetch_queue.open_fetch(key, via="schedule")
"""


@pytest.mark.slow
def test_a_click_is_answered_within_one_call_while_thirty_scheduled_fetches_are_queued(
    paced_stack: Stack,
) -> None:
    stack = paced_stack
    stack.manage("shell", "-c", _THIRTY_SCHEDULED)
    stack.start_web()
    stack.start_worker(concurrency=2)
    interval_s = 1.25

    def scheduled_done() -> int:
        rows = stack.get("fetches", state="succeeded", page_size=100).json()["results"]
        return sum(row["priority"] == "schedule" for row in rows)

    def one_more_than(before: int) -> bool:
        return scheduled_done() > before

    waits = []
    for number in range(3):
        # The schedule has made a call since the last click: clicks alone wait for one another.
        wait_until(partial(one_more_than, scheduled_done()), what="a scheduled fetch")
        reply = requests.get(
            f"{stack.url}/api/tv/ohlc?symbol=LOAD:CLICK{number}&n_bars=50",
            headers={"X-Requested-By": "page"},
            timeout=60,
        )
        assert reply.status_code == 200, reply.text
        (click,) = stack.get("fetches", symbol=f"CLICK{number}").json()["results"]
        waits.append(click["waited_ms"] / 1000)

    rows = stack.get("fetches", page_size=100).json()["results"]
    scheduled = [row for row in rows if row["symbol"].startswith("S")]
    assert max(waits) <= interval_s + 0.5, waits
    assert sum(row["state"] == "queued" for row in scheduled) >= 15
    # A fetch that gave way has not used up an attempt.
    assert {row["attempts"] for row in scheduled} <= {0, 1}
    assert {row["priority"] for row in scheduled} == {"schedule"}
