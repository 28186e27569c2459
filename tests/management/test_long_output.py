"""Commands over many datasets: their output is complete, and their memory does not grow with the rows."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command

from datasets.bars import KEY_FIELDS
from datasets.catalog.bulk.row_order import in_pages
from datasets.models import Dataset
from tests.api.test_cursors import copies

MakeDataset = Callable[..., Dataset]


def grow(dataset: Dataset, first: int, number: int) -> None:
    copies(
        dataset,
        number,
        symbol=lambda index: f"S{first + index:06}",
        path=lambda index: f"sample/{first + index}.parquet",
    )


def test_the_memory_of_pages_does_not_grow_with_the_rows(make_dataset: MakeDataset) -> None:
    dataset = make_dataset(20)
    grow(dataset, 0, 300)

    def peak() -> int:
        tracemalloc.start()
        try:
            for _ in in_pages(Dataset.objects.all(), KEY_FIELDS, 100):
                pass
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak()
    before = peak()
    grow(dataset, 10_000, 900)

    assert peak() < 1.3 * before


def test_a_list_over_several_pages_has_each_dataset_once(
    make_dataset: MakeDataset, capsys: pytest.CaptureFixture[str]
) -> None:
    grow(make_dataset(20, symbol="A"), 0, 2_100)

    call_command("datasets", "list", "--json")
    rows = json.loads(capsys.readouterr().out)
    call_command("datasets", "list")
    text = capsys.readouterr().out

    assert [row["id"] for row in rows] == list(
        Dataset.objects.order_by(*KEY_FIELDS).values_list("pk", flat=True)
    )
    assert text.count("BINANCE:S00") == 2_100
    assert text.count("full_symbol") == 1
    assert "2101 datasets" in text


def test_no_dataset_is_an_empty_list(db: Any, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("datasets", "list", "--json")
    assert json.loads(capsys.readouterr().out) == []
    call_command("datasets", "verify", "--json")
    assert json.loads(capsys.readouterr().out) == {"findings": [], "counts": {}}


def test_rows_that_go_while_the_pages_are_read_hide_no_others(make_dataset: MakeDataset) -> None:
    grow(make_dataset(20, symbol="A"), 0, 30)

    seen = []
    for row in in_pages(Dataset.objects.all(), KEY_FIELDS, 4):
        seen.append(row.symbol)
        row.delete()

    assert seen == ["A", *(f"S{index:06}" for index in range(30))]
