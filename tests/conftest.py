"""What many tests need: a folder of their own, and datasets in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache

from datasets import fetching
from datasets.models import Dataset
from datasets.store import Store
from tests.bars import a_key, bars_table, fetched_bars


@pytest.fixture(autouse=True)
def own_outputs(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """Give each test an outputs folder and an empty cache of its own."""
    settings.OUTPUTS_DIR = tmp_path / "outputs"
    settings.OUTPUTS_DIR.mkdir()
    cache.clear()
    yield settings.OUTPUTS_DIR


@pytest.fixture
def store(own_outputs: Path) -> Store:
    return fetching.get_store()


@pytest.fixture
def make_dataset(db: None, store: Store) -> Callable[..., Dataset]:
    """Return a function that writes a dataset's file and its row."""

    def make(n_rows: int = 300, *, reply: dict[str, Any] | None = None, **changes: Any) -> Dataset:
        key = a_key(**({"n_bars": n_rows} | changes))
        return fetching.record(store.write(key, fetched_bars(bars_table(n_rows), **(reply or {}))))

    return make
