"""Files of datasets for tests of the loader, with the bars that the sample feed sends."""

from __future__ import annotations

import importlib.util
import os
import shutil
import tempfile
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pytest

from datasets.bars import DatasetKey, FetchedBars, Instrument, make_table
from datasets.storage import FolderStore, relative_path
from samplefeed.bars import Request, make_bars
from samplefeed.facts import resolved_facts
from samplefeed.instruments import find_instrument
from samplefeed.timeframes import Timeframe, parse_timeframe
from tests.support.factories import bars_table, fetched_bars


def require(*modules: str) -> None:
    """Skip a test where a package of examples/requirements.txt is not installed; REQUIRE_ALL fails it."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        reason = f"{missing[0]} is not installed; pip install -r examples/requirements.txt"
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(reason)
        pytest.skip(reason)


# A Friday evening, after the close in New York.
NOW = datetime(2026, 1, 9, 21, 30, tzinfo=UTC)


def write(
    folder: Path, n_rows: int = 300, *, table: pa.Table | None = None, **changes: Any
) -> DatasetKey:
    """Write a dataset below an outputs folder; `changes` replace fields of its key or its reply."""
    reply = {
        name: changes.pop(name)
        for name in ("instrument", "fetched_at", "last_bar_final", "is_limited")
        if name in changes
    }
    usual: dict[str, Any] = {"source": "tradingview", "symbol": "BINANCE:BTCUSDT"}
    key = DatasetKey.parse(**usual | {"n_bars": n_rows} | changes)
    instrument = Instrument(timezone="Etc/UTC", session_hours="24x7", currency="USDT")
    bars = fetched_bars(
        bars_table(n_rows) if table is None else table, **{"instrument": instrument} | reply
    )
    FolderStore(folder / "datasets").write(key, bars)
    return key


def write_sample(
    folder: Path,
    full_symbol: str,
    timeframe: str,
    n_bars: int,
    *,
    now: datetime = NOW,
    session: str = "regular",
) -> DatasetKey:
    """Write the dataset that a fetch from the sample feed would write at `now`."""
    key = DatasetKey.parse(
        source="sample", symbol=full_symbol, timeframe=timeframe, n_bars=n_bars, session=session
    )
    path = folder / "datasets" / relative_path(key)
    path.parent.mkdir(parents=True, exist_ok=True)
    # Replaced by a rename, as in the store: readers keep the old file mapped.
    temporary = path.with_suffix(".tmp")
    shutil.copyfile(_sample_file(key, now), temporary)
    temporary.replace(path)
    return key


# Many tests use the same files, and building them takes most of the tests' time.
_made = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)


@cache
def _sample_file(key: DatasetKey, now: datetime) -> Path:
    full_symbol, session, n_bars = key.full_symbol, key.session.value, key.n_bars
    instrument, parsed = find_instrument(full_symbol), parse_timeframe(_feed_name(key))
    assert instrument is not None
    assert isinstance(parsed, Timeframe)
    made = make_bars(instrument, Request(parsed, n_bars, now.timestamp(), session=session))
    facts = resolved_facts(instrument, session)
    rows = np.column_stack([made.rows, np.zeros((len(made.rows), max(0, 6 - made.rows.shape[1])))])
    has_volume = np.full(len(rows), made.rows.shape[1] >= 6)
    fetched = FetchedBars(
        table=make_table(rows[:, :6], has_volume=has_volume),
        instrument=Instrument(
            full_name=full_symbol,
            timezone=facts["timezone"],
            session_hours=facts["session"],
            delay_s=int(facts.get("delay", 0)),
        ),
        fetched_at=now,
        last_bar_final=made.close_at < now.timestamp(),
    )
    folder = Path(_made.name) / uuid4().hex
    FolderStore(folder).write(key, fetched)
    return folder / relative_path(key)


def _feed_name(key: DatasetKey) -> str:
    return key.timeframe.value.upper() if key.timeframe.value.endswith("h") else key.timeframe.value
