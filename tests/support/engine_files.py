"""Datasets for the tests of the engines: the sample feed's bars, written by the real store."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa

from datasets.bars import make_table
from datasets.tradingview.resolved_symbol import read_instrument
from samplefeed.bars import Request, make_bars
from samplefeed.facts import resolved_facts
from samplefeed.instruments import find_instrument
from samplefeed.timeframes import Timeframe, parse_timeframe
from tests.engines.cases import CASES, Case
from tests.support.study_files import write

# In the middle of a quarter of an hour, after a day's close in New York.
NOW = datetime(2026, 1, 9, 21, 37, tzinfo=UTC)
N_BARS = 500
FEED_NAMES = {"1h": "1H"}


def write_cases(folder: Path) -> None:
    """Write the dataset of each case below an outputs folder, as bars of TradingView."""
    for name, case in CASES.items():
        _write_case(folder, case, is_adjusted=name == "days")


def _write_case(folder: Path, case: Case, *, is_adjusted: bool) -> None:
    instrument = find_instrument(case.symbol)
    assert instrument is not None
    timeframe = parse_timeframe(FEED_NAMES.get(case.timeframe, case.timeframe))
    assert isinstance(timeframe, Timeframe)
    made = make_bars(instrument, Request(timeframe, N_BARS, NOW.timestamp()))
    write(
        folder,
        N_BARS,
        table=_table(made.rows, is_adjusted=is_adjusted),
        symbol=case.symbol,
        timeframe=case.timeframe,
        instrument=read_instrument(resolved_facts(instrument, "regular")),
        fetched_at=NOW,
        last_bar_final=made.close_at < NOW.timestamp(),
    )


def _table(rows: np.ndarray, *, is_adjusted: bool) -> pa.Table:
    has_volume = rows.shape[1] > 5
    values = np.zeros((len(rows), 6))
    values[:, : min(6, rows.shape[1])] = rows[:, :6]
    if is_adjusted:
        # Ticks of a cent after two splits, 7:1 and 4:1, as TradingView sends them.
        values[:, 1:5] = np.round(values[:, 1:5] / 28, 6)
        values[:, 5] = np.round(values[:, 5] / 28, 6)
    return make_table(values, has_volume=np.full(len(rows), has_volume))
