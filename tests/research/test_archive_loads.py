"""`load` of a range at any depth, and of bars as they were known at an instant."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from datasets.archive.arrivals import prepared_arrival
from datasets.errors import DatasetNotFound, FileMissing, InvalidRequest
from datasets.research import load
from tests.support.archives import AAPL, FIRST_HOUR, changed, plain_bars, scaled, without
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
    "arguments", [{"fetch": "missing"}, {"lock": "study.lock"}], ids=lambda value: next(iter(value))
)
def test_as_of_is_refused_where_it_cannot_be_kept(
    here: dict[str, Any], arguments: dict[str, Any]
) -> None:
    with pytest.raises(InvalidRequest, match="as_of reads what the archive has already"):
        load(**{**here, **arguments}, as_of=FIRST)


def test_longer_bars_are_made_of_those_that_were_known(here: dict[str, Any]) -> None:
    arrive(changed(plain_bars(range(40, 85)), 5, volume=7.0), days=2)

    made: dict[str, Any] = {"timeframe": "5h", "start": hour(44), "end": hour(48)}
    then = load(**here, **made, as_of=FIRST + timedelta(days=1))
    now = load(**here, **made)

    # Five hours from midnight each: the last bar of a day has four.
    total = sum(1000.0 + number for number in range(44, 48))
    assert (then["volume"].tolist(), now["volume"].tolist()) == ([total], [total - 1038.0])


def test_a_bar_that_was_not_known_to_be_over_is_left_out(here: dict[str, Any]) -> None:
    """The fetch came 30 minutes after the last bar's opening, and no later fetch changed that bar."""
    now = datetime.fromtimestamp(FIRST_HOUR + 3600 * 99 + 1800, UTC)
    key = a_key(n_bars=50, symbol="MSFT", exchange="NASDAQ")
    for moment, bars in [(now, range(60, 100)), (now + timedelta(days=1), range(80, 120))]:
        fetched = fetched_bars(plain_bars(bars), instrument=ALWAYS_OPEN, fetched_at=moment)
        with prepared_arrival(key, fetched, is_whole_window=True) as arrival:
            arrival.put_in_place()

    then = load(**{**here, "symbol": "NASDAQ:MSFT"}, as_of=now)

    assert then.index[-1] == hour(98)
    assert pd.Timestamp(then.attrs["fetched_at"]) == now


def test_more_bars_than_any_dataset_has_come_from_the_archive(here: dict[str, Any]) -> None:
    frame = load(**here, n_bars=70, closed=False)

    assert (len(frame), frame.index[0], frame.index[-1]) == (70, hour(10), hour(79))
    assert frame.attrs["held_from"] == hour(10).isoformat()
    made = load(**here, timeframe="5h", n_bars=12)
    assert (len(made), made.index[-1]) == (12, hour(72))
    with pytest.raises(
        DatasetNotFound, match="The archive of NASDAQ:AAPL 1h has 80 bars, from 2024"
    ):
        load(**here, n_bars=81)
    with pytest.raises(DatasetNotFound, match="Fetch it"):
        load(**{**here, "symbol": "NASDAQ:MSFT"}, n_bars=10)


def test_bars_on_both_sides_of_a_hole_name_the_hole(here: dict[str, Any]) -> None:
    arrive(plain_bars(range(100, 150)), days=2)

    over, after = load(**here, n_bars=60), load(**here, start=hour(5), end=hour(70))

    hole = {"after": hour(79).isoformat(), "before": hour(100).isoformat(), "reason": "window_slid"}
    assert (len(over), over.attrs["holes"]) == (60, [hole])
    assert (len(after), after.attrs["holes"], after.attrs["rescaled"]) == (65, [], [])


def test_rescaled_bars_name_their_factor(here: dict[str, Any]) -> None:
    split = scaled(plain_bars(range(40, 90)), 0.25, volume_factor=4)
    for days in (2, 3):
        arrive(split, days=days)

    bars = load(**here, start=hour(5))

    step = {"before": hour(40).isoformat(), "factor": 0.25, "offset": 0.0}
    assert bars.attrs["rescaled"] == [step]
    assert bars["close"].iloc[0] == plain_bars(range(5, 6))["close"][0].as_py() / 4


def test_a_series_that_was_never_fetched_is_named(here: dict[str, Any]) -> None:
    with pytest.raises(DatasetNotFound, match="Nothing of NASDAQ:MSFT 1h"):
        load(**{**here, "symbol": "NASDAQ:MSFT"}, as_of=FIRST)


# --- from a service ------------------------------------------------------------------------


@pytest.fixture
def there(
    transactional_db: None, here: dict[str, Any], live_server: Any, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> dict[str, Any]:  # fmt: skip
    """The arguments for the same archive over HTTP."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return {"symbol": "NASDAQ:AAPL", "source": "sample", "url": live_server.url}


@pytest.mark.parametrize(
    "asked",
    [
        {"as_of": FIRST + timedelta(hours=1)},
        {"as_of": FIRST + timedelta(days=1), "closed": False},
        {"as_of": FIRST + timedelta(days=1), "n_bars": 40},
        {"as_of": FIRST + timedelta(days=1), "start": hour(10), "end": hour(30)},
        {"as_of": FIRST + timedelta(days=1), "timeframe": "5h"},
        {"start": hour(5)},
        {"start": hour(5), "end": hour(40), "columns": ["close", "close_time"]},
        {"n_bars": 70},
        {"start": "2020-01-01", "end": "2020-02-01"},
    ],
    ids=str,
)
def test_a_service_gives_the_bars_and_facts_of_its_files(
    here: dict[str, Any], there: dict[str, Any], asked: dict[str, Any]
) -> None:
    arrive(changed(plain_bars(range(40, 85)), 5, volume=7.0), days=2, last_bar_final=False)
    arrive(plain_bars(range(90, 140)), days=3)
    split = scaled(plain_bars(range(100, 150)), 0.25, volume_factor=4)
    for days in (4, 5):
        arrive(split, days=days)

    files, service = load(**here, **asked), load(**there, **asked)

    pd.testing.assert_frame_equal(service, files)
    assert service.attrs == files.attrs


def test_a_service_raises_the_errors_of_its_files(there: dict[str, Any]) -> None:
    with pytest.raises(FileMissing, match="its archive begins at"):
        load(**there, as_of="2020-01-01")
    with pytest.raises(DatasetNotFound, match="Nothing of NASDAQ:MSFT 1h"):
        load(**{**there, "symbol": "NASDAQ:MSFT"}, as_of=FIRST)
    with pytest.raises(
        DatasetNotFound, match="The archive of NASDAQ:AAPL 1h has 80 bars, from 2024"
    ):
        load(**there, n_bars=81)
