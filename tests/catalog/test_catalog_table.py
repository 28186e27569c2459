"""`outputs/catalog.parquet`: the catalog as a table, written when it has changed."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from datasets.archive.series_rows import adopt_series
from datasets.catalog import catalog_table
from datasets.errors import StoreFailed
from datasets.models import Dataset
from tests.support.archives import AAPL, Archive, plain_bars
from tests.support.sql_lines import PAGE

pytestmark = pytest.mark.django_db

MakeDataset = Callable[..., Dataset]


def age(path: Path) -> None:
    """Let the file be of the last hour."""
    os.utime(path, (path.stat().st_mtime - 3600,) * 2)


def test_the_table_has_all_series_and_datasets(
    own_outputs: Path, make_dataset: MakeDataset
) -> None:
    archive = Archive(own_outputs / "archive", source="tradingview", symbol="A_B")
    archive.merge(plain_bars(range(100)))
    list(adopt_series())
    dataset = make_dataset(20, reply={"last_bar_final": None, "instrument": AAPL})

    assert catalog_table.write_if_changed()

    table = pq.read_table(own_outputs / "catalog.parquet")
    assert table.schema.equals(catalog_table.SCHEMA)
    series_row, dataset_row = table.to_pylist()
    assert (series_row["kind"], series_row["symbol"], series_row["n_rows"]) == ("series", "NASDAQ:A_B", 100)  # fmt: skip
    assert len(list(own_outputs.glob(series_row["path"]))) == 2
    assert (own_outputs / dataset_row["path"]).is_file()
    assert (dataset_row["code"], dataset_row["last_bar_final"], dataset_row["currency"]) == ("BTCUSDT", None, "USD")  # fmt: skip
    assert dataset_row["fetched_at"] == datetime(2025, 6, 1, tzinfo=UTC)
    assert dataset_row["content_hash"] == dataset.content_hash


def test_an_empty_catalog_is_an_empty_table(own_outputs: Path) -> None:
    assert catalog_table.write_if_changed()

    assert pq.read_table(own_outputs / "catalog.parquet").num_rows == 0


def test_the_table_is_written_again_only_after_a_change(
    own_outputs: Path, make_dataset: MakeDataset
) -> None:
    path = own_outputs / "catalog.parquet"
    dataset = make_dataset(20)
    assert catalog_table.write_if_changed()
    age(path)
    assert not catalog_table.write_if_changed()
    Dataset.objects.update(hits=5)
    assert not catalog_table.write_if_changed()

    changes: list[Callable[[], object]] = [
        lambda: Dataset.objects.update(is_pinned=True),
        lambda: Dataset.objects.update(state=Dataset.State.SUPERSEDED),
        lambda: make_dataset(30),
        lambda: make_dataset(20),
        lambda: dataset.delete(),
    ]
    for change in changes:
        change()
        assert catalog_table.write_if_changed()
        age(path)


def test_a_file_that_another_worker_has_just_written_stays(
    own_outputs: Path, make_dataset: MakeDataset
) -> None:
    catalog_table.write_if_changed()
    make_dataset(20)

    assert not catalog_table.write_if_changed()

    age(own_outputs / "catalog.parquet")
    assert catalog_table.write_if_changed()


def test_a_damaged_table_is_replaced(own_outputs: Path) -> None:
    path = own_outputs / "catalog.parquet"
    path.write_bytes(b"damaged")
    age(path)

    assert catalog_table.write_if_changed()


def test_a_folder_that_cannot_be_written_to_is_a_named_error(own_outputs: Path) -> None:
    own_outputs.rmdir()

    with pytest.raises(StoreFailed, match=r"catalog\.parquet could not be written"):
        catalog_table.write_if_changed()


def test_each_column_is_documented() -> None:
    part = PAGE.read_text().split("\n## The catalog\n")[1].split("\n## ")[0]
    documented = set(re.findall(r"`(\w+)`", "".join(re.findall(r"(?m)^\| (`.*?) \|", part))))

    assert documented == set(catalog_table.SCHEMA.names)
