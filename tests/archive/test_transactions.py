"""Transactions of an archive's writers: no bar is encoded and no file synced while one is open."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.db import connection

from datasets.archive import decisions
from datasets.archive.conversion import convert_datasets
from datasets.archive.following.recovery import recover_archives
from datasets.bars import IMPORTED
from datasets.bars.series_keys import SeriesKey
from datasets.fetching import attempt, fetch_queue
from datasets.importing.imports import import_bars
from datasets.models import Dataset, Fetch, Revision, Series
from tests.support.archives import changed, plain_bars, scaled
from tests.support.arrivals import Arrivals
from tests.support.factories import a_key, fetched_bars
from tests.support.stacks import Feed

pytestmark = pytest.mark.django_db(transaction=True)

MakeDataset = Callable[..., Dataset]


@pytest.fixture(autouse=True)
def slow_work(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make each encoding, reading and syncing in a transaction fail; return those outside of one."""
    done: list[str] = []

    def watched(name: str, real: Any) -> Any:
        def work(*arguments: Any, **options: Any) -> Any:
            assert not connection.in_atomic_block, f"{name} holds up all other writers of SQLite"
            done.append(name)
            return real(*arguments, **options)

        return work

    for owner, name in ((pq, "write_table"), (pq, "ParquetFile"), (os, "fsync")):
        monkeypatch.setattr(owner, name, watched(name, getattr(owner, name)))
    return done


def test_a_fetch_encodes_and_syncs_before_its_transaction(
    clean_feed: Feed, settings: Any, slow_work: list[str]
) -> None:
    settings.TV_WS_URL = clean_feed.ws_url
    for n_bars in (100, 300, 100):
        fetch, _ = fetch_queue.open_fetch(a_key(n_bars=n_bars), via="api")
        attempt.run_fetch(fetch.pk)

    assert set(Fetch.objects.values_list("state", flat=True)) == {"succeeded"}
    # Both datasets, the archive's file and, of its last bar, the earlier values.
    assert slow_work.count("write_table") >= 6


def test_a_fetch_that_finds_a_split_or_a_dispute_does_so_too(slow_work: list[str]) -> None:
    arrivals = Arrivals()
    arrivals.arrive(plain_bars(range(100)), n_bars=60)
    arrivals.arrive(changed(plain_bars(range(100)), 50, close=77.7, low=70.0))
    arrivals.arrive(scaled(plain_bars(range(40, 110)), 0.25, volume_factor=4))

    assert {row.finding for row in Revision.objects.all()} == {"unexplained", "ratio"}
    assert slow_work.count("write_table") > 6


@pytest.mark.parametrize("decide", [decisions.accept_new, decisions.keep_old])
def test_a_decision_does_so_too(decide: Any, slow_work: list[str]) -> None:
    arrivals = Arrivals()
    arrivals.arrive(plain_bars(range(100)))
    arrivals.arrive(changed(plain_bars(range(100)), 50, close=77.7, low=70.0))

    decide(arrivals.revision("unexplained"), by="ann")

    assert arrivals.revision("unexplained").decided_by == "ann"


def test_an_import_a_conversion_and_a_repair_do_so_too(
    make_dataset: MakeDataset, slow_work: list[str]
) -> None:
    make_dataset(300)
    assert [finding.outcome for finding in convert_datasets()] == ["ok"]
    key = SeriesKey.of(a_key(source=IMPORTED))
    for hours in (range(60), range(30, 90)):
        import_bars(key, fetched_bars(plain_bars(hours)))
    Series.objects.update(sequence=0)

    assert len(list(recover_archives())) == 2
    import_bars(key, fetched_bars(plain_bars(range(30, 120))))

    assert Series.objects.filter(sequence__gt=0).count() == 2
    assert slow_work
