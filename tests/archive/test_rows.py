"""Rows of series and revisions: recorded with each fetch, rebuilt from files, and made of older datasets."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from django.core.management import call_command

from datasets.archive.arrivals import prepared_arrival
from datasets.archive.series_rows import folder_of
from datasets.bars import BAR_COLUMNS
from datasets.bars.series_keys import SeriesKey
from datasets.catalog import records
from datasets.catalog.outputs import archive_root
from datasets.errors import StoreFailed
from datasets.models import Dataset, Revision, Series
from datasets.storage import FolderStore, relative_path
from datasets.storage.archives.archive_queries import read_range
from tests.support.archives import AAPL, changed, plain_bars, scaled
from tests.support.factories import a_key, fetched_bars

pytestmark = pytest.mark.django_db

SERIES = {"symbol": "AAPL", "exchange": "NASDAQ"}
FIRST = datetime(2025, 6, 1, tzinfo=UTC)


def arrive(
    table: pa.Table, n_bars: int, *, days: int = 0, is_whole: bool = True, **reply: Any
) -> None:
    """Merge a fetch of the dataset with `n_bars` bars, made some days after the first."""
    facts = {"instrument": AAPL, "fetched_at": FIRST + timedelta(days=days), **reply}
    fetched = fetched_bars(table, **facts)
    key = a_key(n_bars=n_bars, **SERIES)
    with prepared_arrival(key, fetched, is_whole_window=is_whole) as arrival:
        arrival.put_in_place()


def held() -> pa.Table:
    return read_range(folder_of(SeriesKey.of(a_key(**SERIES)))).rows.select(BAR_COLUMNS)


def bars_in(store: FolderStore, n_bars: int) -> pa.Table:
    return store.read(relative_path(a_key(n_bars=n_bars, **SERIES)))[0]


def test_datasets_of_a_series_are_views_that_never_disagree(store: FolderStore) -> None:
    arrive(plain_bars(range(0, 50)), 50)
    corrected = changed(plain_bars(range(40, 52)), 2, volume=5.0)
    arrive(corrected, 12, days=1, is_whole=False)

    assert bars_in(store, 12).equals(corrected)
    assert bars_in(store, 50).equals(held().slice(2))
    assert bars_in(store, 50).slice(38).equals(corrected)
    large = Dataset.objects.get(n_bars=50)
    assert (large.state, large.fetched_at) == ("ready", FIRST + timedelta(days=1))
    series = Series.objects.get()
    assert (series.n_rows, series.generation, series.n_holes) == (52, 1, 0)
    assert set(series.datasets.values_list("n_bars", flat=True)) == {12, 50}
    assert series.revisions.get().finding == "volume"


def test_a_pinned_dataset_stays_as_it_is(store: FolderStore) -> None:
    arrive(plain_bars(range(0, 50)), 50)
    Dataset.objects.update(is_pinned=True)
    arrive(plain_bars(range(40, 52)), 12, days=1)

    assert bars_in(store, 50).equals(plain_bars(range(0, 50)))
    assert bars_in(store, 12).equals(plain_bars(range(40, 52)))


def test_a_dataset_that_was_pinned_meanwhile_refuses_the_whole_merge(store: FolderStore) -> None:
    arrive(plain_bars(range(0, 50)), 50)
    fetched = fetched_bars(
        plain_bars(range(10, 60)), instrument=AAPL, fetched_at=FIRST + timedelta(1)
    )

    with pytest.raises(StoreFailed, match="pinned meanwhile"), prepared_arrival(
        a_key(n_bars=50, **SERIES), fetched, is_whole_window=True
    ) as arrival:  # fmt: skip
        Dataset.objects.update(is_pinned=True)
        arrival.put_in_place()

    assert held().equals(plain_bars(range(0, 50)))
    assert bars_in(store, 50).equals(plain_bars(range(0, 50)))


def test_a_small_window_after_a_long_pause_leaves_the_large_dataset_whole(
    store: FolderStore,
) -> None:
    arrive(plain_bars(range(0, 50)), 50)
    arrive(plain_bars(range(60, 72)), 12, days=3, is_whole=False)

    assert bars_in(store, 50).equals(plain_bars(range(0, 50)))
    assert bars_in(store, 12).equals(plain_bars(range(60, 72)))
    assert Series.objects.get().n_holes == 1
    arrive(plain_bars(range(25, 75)), 50, days=4)

    assert bars_in(store, 50).equals(plain_bars(range(25, 75)))
    assert bars_in(store, 12).equals(plain_bars(range(63, 75)))


def test_rows_are_rebuilt_from_the_files_alone(store: FolderStore) -> None:
    arrive(plain_bars(range(0, 50)), 50)
    arrive(changed(plain_bars(range(30, 50)), 3, close=100.5), 50, days=1)
    arrive(scaled(plain_bars(range(20, 55)), 0.25, volume_factor=4), 50, days=2)
    columns = [field.name for field in Revision._meta.fields if field.name not in ("id", "series")]
    before = list(Revision.objects.order_by("number").values(*columns))
    series = Series.objects.values().get()
    Series.objects.all().delete()
    Dataset.objects.all().delete()

    call_command("datasets", "rebuild")

    assert list(Revision.objects.order_by("number").values(*columns)) == before
    assert len(before) == 2
    assert {**Series.objects.values().get(), "id": 0} == {**series, "id": 0}
    assert Dataset.objects.get().series == Series.objects.get()


def test_a_damaged_archive_is_named_by_a_rebuild(
    own_outputs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arrive(plain_bars(range(0, 50)), 50)
    (archive_root() / "sample" / "NASDAQ_AAPL_1h" / "series.json").write_text("{")

    with pytest.raises(SystemExit):
        call_command("datasets", "rebuild")

    assert "NASDAQ_AAPL_1h" in capsys.readouterr().out


@pytest.fixture
def older_dataset(store: FolderStore) -> Callable[..., Dataset]:
    """Return a function that stores a dataset as versions before the archive did."""

    def make(table: pa.Table, n_bars: int, *, days: int = 0) -> Dataset:
        fetched = fetched_bars(table, instrument=AAPL, fetched_at=FIRST + timedelta(days=days))
        return records.record(store.write(a_key(n_bars=n_bars, **SERIES), fetched))

    return make


def test_datasets_of_earlier_versions_become_an_archive_oldest_fetch_first(
    older_dataset: Callable[..., Dataset], store: FolderStore
) -> None:
    older_dataset(plain_bars(range(40, 60)), 20, days=2)
    older_dataset(changed(plain_bars(range(0, 50)), 45, volume=1.0), 50)

    call_command("datasets", "archive")

    assert held().equals(plain_bars(range(0, 60)))
    assert Revision.objects.get().finding == "volume"
    assert set(Dataset.objects.values_list("series", flat=True)) == {Series.objects.get().pk}
    assert bars_in(store, 20).equals(plain_bars(range(40, 60)))
    before = Series.objects.values().get()

    call_command("datasets", "archive")

    assert Series.objects.values().get() == before


def test_a_fetch_archives_the_older_datasets_of_its_series_before_it_replaces_them(
    older_dataset: Callable[..., Dataset], store: FolderStore
) -> None:
    older_dataset(plain_bars(range(0, 30)), 30)
    arrive(plain_bars(range(20, 60)), 40, days=5)

    assert held().equals(plain_bars(range(0, 60)))
    assert bars_in(store, 30).equals(plain_bars(range(30, 60)))
