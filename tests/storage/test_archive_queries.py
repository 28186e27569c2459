"""Queries of an archive: the newest bars of a range, also as of an instant, at the same cost at any depth."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets.bars import make_table
from datasets.storage.archives.archive_files import ROWS_PER_GROUP
from datasets.storage.archives.archive_queries import read_range
from tests.support.archives import FIRST_HOUR, Archive, changed, plain_bars, scaled


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


def hour(number: int) -> datetime:
    return datetime.fromtimestamp(FIRST_HOUR + 3600 * number, UTC)


def test_the_newest_bars_of_a_range_are_its_last_ones_now_and_at_any_instant(
    archive: Archive,
) -> None:
    archive.merge(plain_bars(range(0, 40)))
    archive.merge(changed(plain_bars(range(30, 70)), 5, volume=7.0))
    # Bars vanish, a bar closes, and the basis of the prices changes.
    gone = plain_bars(range(50, 90))
    fewer = gone.take(pa.array([*range(5), *range(8, 40)]))
    archive.merge(changed(fewer, 36, volume=1.0), last_bar_final=False)
    archive.merge(changed(gone, 4, close=9.0, low=9.0))
    archive.merge(scaled(plain_bars(range(60, 100)), 0.25))
    archive.merge(scaled(plain_bars(range(60, 110)), 0.25))
    days = [None, *(archive.now - timedelta(days=age, seconds=-1) for age in range(6))]
    bounds = [None, hour(20), hour(48), hour(66), hour(500)]

    for as_of, start, end, n_bars in product(days, bounds, bounds, [1, 7, 30, 1000]):
        whole = archive.bars(start=start, end=end, as_of=as_of)
        newest = archive.bars(start=start, end=end, as_of=as_of, n_bars=n_bars)
        wanted = whole.slice(max(0, whole.num_rows - n_bars))
        assert newest.equals(wanted), (as_of, start, end, n_bars)


def test_the_newest_bars_before_an_instant_cost_the_same_at_any_depth(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    n_rows = 8 * ROWS_PER_GROUP
    rows = np.full((n_rows, 6), 100.0)
    rows[:, 0] = FIRST_HOUR + 60 * np.arange(n_rows)
    archive = Archive(archive.root, timeframe="1")
    archive.merge(make_table(rows, has_volume=np.ones(n_rows, dtype=bool)))
    n_decoded: list[int] = []
    read = pq.ParquetFile.read_row_groups

    def counted(self: pq.ParquetFile, groups: list[int], **options: Any) -> Any:
        n_decoded.append(len(groups))
        return read(self, groups, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", counted)
    end = datetime.fromtimestamp(rows[-ROWS_PER_GROUP - 50, 0], UTC)

    found = read_range(archive.folder, end=end, n_bars=1000).rows
    then = read_range(archive.folder, end=end, n_bars=1000, as_of=archive.now).rows

    assert (found.num_rows, found["time"][-1].as_py()) == (1000, end - timedelta(minutes=1))
    assert then.equals(found)
    # One group that the end cuts, and one for the rest; each of the two reads.
    assert sum(n_decoded) <= 4
