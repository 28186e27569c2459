"""The page `/status/`: what works, what does not, and the end of a pause."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from datasets.bars.series_keys import SeriesKey
from datasets.errors import RateLimited
from datasets.fetching import retention_policy, throttle, workers
from datasets.models import Dataset, Fetch, Schedule, WatchedSymbol, Watchlist, database
from tests.support.factories import a_key

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def pause() -> Iterator[None]:
    throttle.cool_down(RateLimited("TradingView refused the call."))
    yield
    throttle.end_cool_down(by="a test")


def test_the_page_shows_workers_queue_and_parts_that_fail(client: Client) -> None:
    Fetch.objects.create(**a_key().as_dict(), requested_at=timezone.now() - timedelta(minutes=5))

    text = client.get("/status/").content.decode()

    assert workers.NONE_SEEN.split(",")[0] in text
    assert "No worker is alive" in text
    assert "5 min ago" in text
    assert "Retention" not in text

    workers.note_alive("celery@here")
    text = client.get("/status/").content.decode()
    assert "celery@here" in text
    assert "No worker is alive" not in text


def test_staff_end_a_pause_on_the_page_and_others_cannot(
    client: Client, admin_client: Client, pause: None
) -> None:
    assert "End the pause now" not in client.get("/status/").content.decode()
    assert client.post("/status/", {"end_cool_down": "1"}).status_code == 403
    assert throttle.running_cool_down() is not None
    assert "End the pause now" in admin_client.get("/status/").content.decode()

    reply = admin_client.post("/status/", {"end_cool_down": "1"})

    assert (reply.status_code, reply.headers["Location"]) == (302, "/status/")
    assert throttle.running_cool_down() is None


def test_staff_see_what_the_retention_policy_would_delete(
    admin_client: Client, settings: Any, make_dataset: Callable[..., Dataset]
) -> None:
    old = timezone.now() - timedelta(days=100)
    Dataset.objects.filter(pk=make_dataset().pk).update(fetched_at=old)
    settings.PRUNE_UNUSED_AFTER_DAYS = 90

    text = admin_client.get("/status/").content.decode()

    assert "not read for 90 days" in text
    assert "1 dataset (" in text
    assert Dataset.objects.count() == 1


def test_the_page_counts_few_of_many_datasets_to_delete_and_keeps_their_number_for_a_minute(
    admin_client: Client,
    settings: Any,
    make_dataset: Callable[..., Dataset],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # An hour later, so that no later test reads the number that is kept.
    later = database.shared_now() + timedelta(hours=1)
    monkeypatch.setattr(database, "shared_now", lambda: later)
    monkeypatch.setattr(retention_policy, "MOST_DATASETS", 2)
    for n_bars in (20, 30, 40):
        make_dataset(n_bars)
    Dataset.objects.update(fetched_at=later - timedelta(days=100))
    settings.PRUNE_UNUSED_AFTER_DAYS = 90

    def n_looks() -> int:
        """Return how many queries look for datasets to delete."""
        with CaptureQueriesContext(connection) as captured:
            text = admin_client.get("/status/").content.decode()
        assert re.search(
            r"2 datasets \(\d+ bytes\); more datasets than these are not counted", text
        )
        return sum('"fetched_at" <' in each["sql"] for each in captured)

    assert (n_looks(), n_looks()) == (1, 0)
    later += timedelta(minutes=1)
    assert n_looks() == 1


def test_the_queries_of_the_page_do_not_grow_with_the_series_that_are_behind(
    client: Client,
) -> None:
    now = timezone.now()
    watchlist = Watchlist.objects.create(name="Late", timeframes=["1h"])

    def n_queries(first: int, last: int) -> int:
        for number in range(first, last):
            WatchedSymbol.objects.create(
                watchlist=watchlist, exchange="BINANCE", symbol=f"S{number}"
            )
            key = SeriesKey.of(a_key(symbol=f"S{number}")).as_dict()
            Schedule.objects.create(
                **key, n_bars=300, backfilled_at=now, due_at=now - timedelta(hours=2)
            )
        with CaptureQueriesContext(connection) as captured:
            text = client.get("/status/").content.decode()
        assert f"Late</a>, {last} series" in text
        return len(captured)

    n_queries(0, 1)
    assert n_queries(1, 2) == n_queries(2, 9)


def test_the_page_names_the_lists_that_are_behind(client: Client) -> None:
    now = timezone.now()
    for name, symbol, due_at in (("Late", "A", now - timedelta(hours=2)), ("Well", "B", now)):
        watchlist = Watchlist.objects.create(name=name, timeframes=["1h"])
        WatchedSymbol.objects.create(watchlist=watchlist, exchange="BINANCE", symbol=symbol)
        key = SeriesKey.of(a_key(symbol=symbol)).as_dict()
        Schedule.objects.create(**key, n_bars=300, backfilled_at=now, due_at=due_at)

    text = client.get("/status/").content.decode()

    assert re.search(r"Late</a>, 1 series", text)
    assert "Well" not in text
    assert "2 h" in text


def test_the_page_needs_a_sign_in_where_the_api_does(client: Client, settings: Any) -> None:
    settings.API_ACCESS = "login"

    assert client.get("/status/").status_code == 302
    client.force_login(User.objects.create_user("ann"))
    assert client.get("/status/").status_code == 200
