"""`load` of a range at any depth, and of bars as they were known at an instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from datasets.archive.arrivals import prepared_arrival
from datasets.errors import FileMissing, InvalidRequest
from datasets.research import load
from tests.support.archives import AAPL, FIRST_HOUR, changed, plain_bars, without
from tests.support.factories import a_key, fetched_bars

pytestmark = pytest.mark.django_db

FIRST = datetime(2025, 6, 1, tzinfo=UTC)
ALWAYS_OPEN = without(AAPL, session_hours="24x7", timezone="Etc/UTC")


def arrive(table: pa.Table, *, days: int = 0, **reply: Any) -> None:
    facts = {"instrument": ALWAYS_OPEN, "fetched_at": FIRST + timedelta(days=days), **reply}
    key = a_key(n_bars=50, symbol="AAPL", exchange="NASDAQ")
    with prepared_arrival(key, fetched_bars(table, **facts), is_whole_window=True) as arrival:
        arrival.put_in_place()


def hour(number: int) -> pd.Timestamp:
    return pd.Timestamp(FIRST_HOUR + 3600 * number, unit="s", tz="UTC")


@pytest.fixture
def here(own_outputs: Path) -> dict[str, Any]:
    arrive(plain_bars(range(0, 60)))
    arrive(plain_bars(range(30, 80)), days=1, last_bar_final=False)
    return {"symbol": "NASDAQ:AAPL", "source": "sample", "folder": own_outputs}


def test_a_range_is_loaded_from_before_the_dataset(here: dict[str, Any]) -> None:
    frame = load(**here, start=hour(5), end=hour(40), columns=["close", "close_time"])

    assert (frame.index[0], frame.index[-1], len(frame)) == (hour(5), hour(39), 35)
    assert frame["close"].tolist() == plain_bars(range(5, 40))["close"].to_pylist()
    assert (frame["close_time"] - frame.index == pd.Timedelta(hours=1)).all()
    assert frame.attrs["covers_start"] is True
    assert pd.Timestamp(frame.attrs["edge"]["next"]) == hour(40)


def test_a_range_to_the_newest_bar_leaves_out_the_forming_one(here: dict[str, Any]) -> None:
    assert load(**here, start=hour(5)).index[-1] == hour(78)
    assert load(**here, start=hour(5), closed=False).index[-1] == hour(79)


def test_a_number_of_bars_or_a_later_start_reads_the_dataset(here: dict[str, Any]) -> None:
    assert load(**here, start=hour(5), n_bars=50).index[0] == hour(30)
    assert load(**here, start=hour(35)).attrs["path"].endswith("_50.parquet")


def test_bars_are_loaded_as_they_were_known(here: dict[str, Any]) -> None:
    arrive(changed(plain_bars(range(40, 85)), 5, volume=7.0), days=2)

    first = load(**here, as_of=FIRST + timedelta(hours=1))
    second = load(**here, as_of=FIRST + timedelta(days=1), closed=False)
    now = load(**here, as_of=FIRST + timedelta(days=3), n_bars=40)

    assert (len(first), first.index[-1]) == (60, hour(59))
    assert (len(second), second.index[-1]) == (80, hour(79))
    assert (second["volume"].loc[hour(45)], now["volume"].loc[hour(45)]) == (1045.0, 7.0)
    assert (len(now), now.index[-1]) == (40, hour(84))
    with pytest.raises(FileMissing, match="its archive begins at"):
        load(**here, as_of="2020-01-01")


def test_a_bar_that_was_forming_then_is_left_out(here: dict[str, Any]) -> None:
    arrive(changed(plain_bars(range(40, 85)), 39, close=1.0, low=1.0), days=2)

    then = load(**here, as_of=FIRST + timedelta(days=1))

    assert then.index[-1] == hour(78)


@pytest.mark.parametrize(
    "arguments",
    [{"url": "http://localhost:1"}, {"fetch": "missing"}, {"timeframe": "6h"}],
    ids=lambda value: next(iter(value)),
)
def test_as_of_is_refused_where_it_cannot_be_kept(
    here: dict[str, Any], arguments: dict[str, Any]
) -> None:
    given = {name: value for name, value in here.items() if name not in arguments}
    if "url" in arguments:
        del given["folder"]

    with pytest.raises(InvalidRequest, match="as_of reads the archive"):
        load(**{**given, **arguments}, as_of=FIRST)
