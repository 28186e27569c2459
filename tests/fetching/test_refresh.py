"""A fetch of a series that is archived requests only the bars since the newest one, and some that are held."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from datasets import serving
from datasets.archive.fetch_windows import window_of
from datasets.archive.series_rows import folder_of
from datasets.bars import BAR_COLUMNS, DatasetKey, FetchedBars
from datasets.bars.series_keys import SeriesKey
from datasets.fetching import attempt, feed_clients, fetch_queue, tasks
from datasets.models import Dataset, Fetch, Series
from datasets.storage import FolderStore, relative_path
from datasets.storage.archives.archive_queries import read_range
from datasets.tradingview.client import FeedClient
from tests.support.factories import a_key
from tests.support.stacks import Feed

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def requested(
    settings: Any, clean_feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> Iterator[list[int]]:
    """Return the numbers of bars that were requested from the feed."""
    settings.TV_WS_URL = clean_feed.ws_url
    settings.TV_SITE_URL = clean_feed.site_url
    feed_clients._client_of.cache_clear()
    numbers: list[int] = []
    real = FeedClient.fetch_bars

    def counted(self: FeedClient, key: DatasetKey, **options: Any) -> FetchedBars:
        numbers.append(key.n_bars)
        return real(self, key, **options)

    monkeypatch.setattr(FeedClient, "fetch_bars", counted)
    yield numbers
    feed_clients.feed_client().close()


def fetch(n_bars: int) -> None:
    attempt.run_fetch(fetch_queue.open_fetch(a_key(n_bars=n_bars), via="api")[0].pk)
    row = Dataset.objects.get(n_bars=n_bars)
    assert row.fetches.latest("pk").state == "succeeded"


def test_a_second_fetch_requests_the_new_bars_and_the_dataset_is_whole(
    requested: list[int], store: FolderStore
) -> None:
    fetch(2000)
    fetch(2000)

    assert requested == [2000, 128]
    table, stored = store.read(relative_path(a_key(n_bars=2000)))
    assert table.num_rows == 2000
    held = read_range(folder_of(SeriesKey.of(a_key()))).rows.select(BAR_COLUMNS)
    assert table.equals(held.slice(held.num_rows - 2000).combine_chunks())
    assert stored.facts.last_bar_final is False


def test_a_larger_dataset_is_fetched_whole_and_a_smaller_one_is_not(requested: list[int]) -> None:
    fetch(500)
    fetch(2000)
    fetch(1000)

    assert requested == [500, 2000, 128]
    assert Dataset.objects.get(n_bars=500).state == "ready"
    assert Series.objects.get().n_rows >= 2000
    assert len(set(Dataset.objects.values_list("last_time", flat=True))) == 1


def test_an_invalidated_dataset_is_fetched_whole(requested: list[int]) -> None:
    fetch(1000)
    serving.invalidate(Dataset.objects.get())
    fetch(1000)

    assert requested == [1000, 1000]


def test_a_pause_that_is_longer_than_the_overlap_requests_more_bars() -> None:
    fetch(1000)
    last = Series.objects.get().last_time
    key = a_key(n_bars=1000)

    def window_after(hours: int) -> int:
        return window_of(key, now=last + timedelta(hours=hours), max_bars=5000)

    assert [window_after(hours) for hours in (1, 63, 64, 200, 300, 5000)] == [
        128, 128, 300, 300, 1000, 5000,
    ]  # fmt: skip


def test_the_maximum_of_one_fetch_holds_for_larger_datasets_too() -> None:
    assert window_of(a_key(n_bars=90_000), now=timezone.now(), max_bars=5000) == 5000


@pytest.mark.parametrize("damage", ["no document", "a damaged document", "a damaged year"])
def test_a_fetch_into_a_damaged_archive_ends_with_a_sentence_and_is_not_tried_again(
    damage: str,
) -> None:
    fetch(300)
    folder = folder_of(SeriesKey.of(a_key()))
    if damage == "a damaged year":
        for path in folder.path.glob("*.parquet"):
            path.write_bytes(path.read_bytes()[:1000])
    elif damage == "no document":
        (folder.path / "series.json").unlink()
    else:
        (folder.path / "series.json").write_text("{")
    before = {path: path.read_bytes() for path in folder.path.glob("*.*")}

    number = fetch_queue.open_fetch(a_key(n_bars=300), via="api")[0].pk
    tasks.attempt(number)

    ended = Fetch.objects.get(pk=number)
    assert (ended.state, ended.error_code, ended.retryable) == ("failed", "store_failed", False)
    assert "series.json" in ended.error_message or "archive" in ended.error_message
    assert "Nothing was stored" in ended.error_message
    assert {path: path.read_bytes() for path in folder.path.glob("*.*")} == before


def test_a_scheduled_fetch_of_a_short_archive_requests_the_newest_bars_only(
    requested: list[int],
) -> None:
    fetch(300)
    key = a_key(n_bars=2000)
    now = timezone.now()
    assert window_of(key, now=now, max_bars=5000) == 2000
    assert window_of(key, now=now, max_bars=5000, newest_only=True) == 128

    row, _ = fetch_queue.open_fetch(key, via="schedule")
    attempt.run_fetch(row.pk)

    assert requested == [300, 128]
    assert Series.objects.get().n_rows >= 300
