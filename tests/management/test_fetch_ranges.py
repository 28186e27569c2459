"""`manage.py fetch … --from … --to …`: the archive, the feed, and what is said of the range."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from datasets.bars import DatasetKey, FetchedBars
from datasets.errors import FetchError
from datasets.fetching import attempt, feed_clients, fetch_queue
from datasets.models import Dataset, Fetch
from datasets.tradingview.client import FeedClient
from tests.support.stacks import Feed

pytestmark = pytest.mark.django_db(transaction=True)

Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that fetches a range of one symbol and returns exit status and outcome."""

    def fetch(*arguments: str, symbol: str = "BINANCE:BTCUSDT") -> tuple[int, dict[str, Any]]:
        status = 0
        try:
            call_command("fetch", symbol, "--json", *arguments)
        except SystemExit as end:
            status = int(end.code or 0)
        return status, json.loads(capsys.readouterr().out)[0]

    return fetch


@pytest.fixture(autouse=True)
def requested(
    settings: Any, clean_feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[int]]:
    """Fetch at once instead of by a worker; return the numbers of bars that were requested from the feed."""
    settings.TV_WS_URL = clean_feed.ws_url
    settings.TV_SITE_URL = clean_feed.site_url
    feed_clients._client_of.cache_clear()
    numbers: list[int] = []
    real = FeedClient.fetch_bars

    def counted(self: FeedClient, key: DatasetKey, **options: Any) -> FetchedBars:
        numbers.append(key.n_bars)
        return real(self, key, **options)

    monkeypatch.setattr(FeedClient, "fetch_bars", counted)

    def run_at_once(fetch_id: int) -> None:
        try:
            attempt.run_fetch(fetch_id)
        except FetchError as error:
            fetch_queue.give_up(fetch_id, error)

    monkeypatch.setattr("datasets.fetching.tasks.enqueue", run_at_once)
    yield numbers
    feed_clients.feed_client().close()


def hours_ago(hours: int) -> str:
    """Return the opening of the hour so many hours ago."""
    moment = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=hours)
    return moment.isoformat()


def test_a_range_is_fetched_once_and_then_read_from_the_archive(
    run: Run, requested: list[int]
) -> None:
    status, row = run("--from", hours_ago(200), "--to", hours_ago(100))
    assert (status, row["outcome"], requested) == (0, "succeeded", [300])
    assert (row["range"]["count"], row["range"]["covers_start"]) == (100, True)
    assert (row["range"]["holes"], row["range"]["held_from"][-1]) == ([], "Z")

    status, row = run("--from", hours_ago(150), "--to", hours_ago(120))
    assert (status, row["outcome"], row["range"]["count"], requested) == (0, "held", 30, [300])


def test_older_bars_of_a_range_are_fetched_while_the_feed_can_give_them(
    run: Run, requested: list[int]
) -> None:
    run("--from", hours_ago(100), "--to", hours_ago(90))

    status, row = run("--from", hours_ago(900), "--to", hours_ago(880))

    assert (status, row["outcome"], row["range"]["count"]) == (0, "succeeded", 20)
    assert requested == [300, 1000]


def test_bars_before_the_feeds_window_are_not_asked_for_again(
    run: Run, requested: list[int], settings: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.TV_MAX_BARS = 300
    for _ in range(2):
        status, row = run("--from", "2020-01-01", "--to", hours_ago(290))

    assert (status, row["outcome"], requested) == (0, "held", [300])
    assert row["range"]["covers_start"] is False
    call_command("fetch", "BINANCE:BTCUSDT", "--from", "2020-01-01", "--to", hours_ago(290))
    printed = capsys.readouterr().out
    assert "The archive begins at " in printed
    assert "TradingView gives no older bars." in printed


def test_a_range_up_to_now_fetches_only_the_new_bars(run: Run, requested: list[int]) -> None:
    run("--from", hours_ago(250))
    # The newest bar was still forming, so that its final values are lacking.
    status, row = run("--from", hours_ago(100))

    assert (status, row["outcome"], requested) == (0, "succeeded", [1000, 128])
    assert Dataset.objects.count() == 1


def test_a_failed_fetch_of_a_range_names_its_error(run: Run) -> None:
    status, row = run("--from", hours_ago(10), symbol="BINANCE:NOSUCHTHING")

    assert (status, row["outcome"], row["code"]) == (1, "failed", "symbol_not_found")
    assert "range" not in row


@pytest.mark.parametrize(
    "arguments, said",
    [
        (["--to", "2024-01-01"], "--to needs --from"),
        (["--from", "2024-01-01", "-n", "10"], "exclude each other"),
        (["--from", "2024-01-02", "--to", "2024-01-02"], "--to is not after --from"),
        (["--from", "2999-01-01"], "lies in the future"),
        (["--from", "01/02/2024"], "is no instant"),
    ],
)
def test_a_wrong_range_is_refused(run: Run, arguments: list[str], said: str) -> None:
    with pytest.raises(CommandError, match=said):
        run(*arguments)
    assert not Fetch.objects.exists()
