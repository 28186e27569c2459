"""A whole study, from files to joined panel: the rows known at an instant never depend on later bars."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.bars import Instrument, make_table
from datasets.research import align, close_times, load, load_panel, resample
from tests.support.study_files import write

NAMES = ["LOAD:A", "LOAD:B"]
MARKETS = {"24x7": "Etc/UTC", "0930-1600": "America/New_York", "0900-1130,1230-1530": "Asia/Tokyo", "1800-1700": "America/New_York"}  # fmt: skip
# A week before summer time begins in New York; hours begin with Tokyo's and New York's half hours.
FIRST = pd.Timestamp("2025-03-02T00:30Z")


@st.composite
def studies(draw: Any) -> tuple[str, list[np.ndarray[Any, Any]], int, bool]:
    """Return a market's hours, the rows of two datasets, the row that changes, and if the last was final."""
    hours = draw(st.sampled_from(sorted(MARKETS)))
    n_rows = draw(st.integers(60, 240))
    datasets = []
    for seed in draw(st.lists(st.integers(0, 999), min_size=2, max_size=2)):
        random = np.random.default_rng(seed)
        # Holes stand for times without trade.
        hour = np.flatnonzero(random.random(n_rows) < 0.9)
        times = FIRST.timestamp() + 3600 * hour
        datasets.append(np.column_stack([times, random.uniform(1, 9, (len(hour), 5))]))
    n_changed = draw(st.integers(1, min(map(len, datasets))))
    return hours, datasets, n_changed, draw(st.booleans())


def write_study(
    folder: Path, hours: str, datasets: list[np.ndarray[Any, Any]], *, is_final: bool
) -> None:
    instrument = Instrument(timezone=MARKETS[hours], session_hours=hours)
    fetched_at = FIRST.to_pydatetime() + timedelta(days=20)
    for name, rows in zip(NAMES, datasets, strict=True):
        table = make_table(rows, has_volume=np.full(len(rows), True))
        write(
            folder,
            table=table,
            n_bars=240,
            symbol=name,
            instrument=instrument,
            last_bar_final=is_final,
            fetched_at=fetched_at,
        )


def study(folder: Path, *, closed: bool) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Return bars beside their days, the days, and a panel beside the days; each with `close_time`."""
    bars = load(NAMES[0], folder=folder, closed=closed)
    days = resample(bars, "1D")
    joined = align(bars, days)
    panel = load_panel(NAMES, index="close_time", folder=folder, closed=closed)
    beside = align(panel, days)
    return (
        joined.assign(close_time=close_times(bars)),
        days,
        beside.assign(close_time=close_times(panel)),
    )


@settings(max_examples=15)
@given(drawn=studies(), closed=st.booleans())
def test_changing_any_future_bar_never_changes_the_known_rows_of_a_study(
    tmp_path_factory: pytest.TempPathFactory,
    drawn: tuple[str, list[np.ndarray[Any, Any]], int, bool],
    closed: bool,
) -> None:
    """Also when only the last bar changes; in half of the studies this bar is still forming."""
    hours, before, n_changed, is_final = drawn
    changed_from = max(rows[-n_changed, 0] for rows in before)
    after = [rows.copy() for rows in before]
    for rows in after:
        rows[rows[:, 0] >= changed_from, 1:] *= 3
    changed_at = pd.Timestamp(changed_from, unit="s", tz="UTC")
    folders = [tmp_path_factory.mktemp("study") for _ in range(2)]
    for folder, datasets in zip(folders, (before, after), strict=True):
        write_study(folder, hours, datasets, is_final=is_final)

    parts = [study(folder, closed=closed) for folder in folders]

    for first, second in zip(*parts, strict=True):
        # The values differ; the instants at which they are known do not.
        assert first.index.equals(second.index)
        assert first["close_time"].equals(second["close_time"])
        known = first["close_time"] <= changed_at
        pd.testing.assert_frame_equal(first[known], second[known])


@settings(max_examples=5)
@given(drawn=studies())
def test_a_forming_bar_is_in_no_part_of_a_study(
    tmp_path_factory: pytest.TempPathFactory,
    drawn: tuple[str, list[np.ndarray[Any, Any]], int, bool],
) -> None:
    hours, before, _, _ = drawn
    after = [rows.copy() for rows in before]
    for rows in after:
        rows[-1, 1:] *= 3
    folders = [tmp_path_factory.mktemp("study") for _ in range(2)]
    for folder, datasets in zip(folders, (before, after), strict=True):
        write_study(folder, hours, datasets, is_final=False)

    parts = [study(folder, closed=True) for folder in folders]

    for first, second in zip(*parts, strict=True):
        pd.testing.assert_frame_equal(first, second)
