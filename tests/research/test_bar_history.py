"""`history` of a bar, and the table of `adjustments`, from the archives of a folder or of a service."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from datasets.archive import decisions
from datasets.errors import BarNotFound, DatasetNotFound, InvalidRequest, ServiceFailed
from datasets.research import adjustments, history
from tests.support.archives import FIRST_HOUR, changed, plain_bars, scaled
from tests.support.arrivals import Arrivals

INSTANT = "datetime64[ms, UTC]"


@pytest.fixture
def arrivals(transactional_db: None) -> Arrivals:
    return Arrivals()


@pytest.fixture
def here(own_outputs: Path) -> dict[str, Any]:
    return {"symbol": "NASDAQ:AAPL", "source": "sample", "folder": own_outputs}


def hour(number: int) -> datetime:
    return datetime.fromtimestamp(FIRST_HOUR + 3600 * number, UTC)


def test_every_value_of_a_bar_is_in_its_history(arrivals: Arrivals, here: dict[str, Any]) -> None:
    times = []

    def arrive(table: Any, **reply: Any) -> None:
        arrivals.arrive(table, n_bars=50, **reply)
        times.append(arrivals.now)

    forming = changed(plain_bars(range(0, 50)), 49, volume=1.0)
    arrive(forming, last_bar_final=False)
    arrive(plain_bars(range(10, 60)))
    arrive(changed(plain_bars(range(10, 60)), 39, volume=7.0))
    disputed = changed(changed(plain_bars(range(10, 60)), 39, volume=7.0), 39, close=9.0, low=9.0)
    arrive(disputed)
    arrive(disputed)
    # The bar opens before TradingView's window, so that it waits and is then rescaled.
    later = scaled(plain_bars(range(52, 70)), 0.25, volume_factor=4)
    arrive(later)
    arrive(later)

    found = history(**here, at=hour(49))

    table = found[["finding", "generation", "was_given", "is_final", "is_rescaled"]]
    assert list(table.itertuples(index=False, name=None)) == [
        ("closed", 1, True, False, False),
        ("volume", 1, True, True, False),
        ("unexplained", 1, True, True, False),
        ("unexplained", 1, False, True, False),
        ("ratio", 1, True, True, False),
        ("", 2, True, True, True),
    ]
    assert found["seen_at"].tolist() == [times[place] for place in (0, 1, 2, 3, 4, 6)]
    assert found["until"].tolist()[:5] == [times[place] for place in (1, 2, 4, 3, 5)]
    assert found["until"].isna().tolist() == [False] * 5 + [True]
    close = plain_bars(range(49, 50))["close"][0].as_py()
    assert found["close"].tolist() == [close, close, close, 9.0, 9.0, 2.25]
    assert found["volume"].tolist() == [1.0, 1049.0, 7.0, 7.0, 7.0, 28.0]
    kinds = {name: str(kind) for name, kind in found.dtypes.items()}
    assert kinds == {
        "seen_at": INSTANT, "until": INSTANT, "open": "float64", "high": "float64", "low": "float64",
        "close": "float64", "volume": "float64", "finding": "str", "revision": "int64", "generation": "int64",
        "was_given": "bool", "is_final": "bool", "is_rescaled": "bool",
    }  # fmt: skip


def test_a_bar_that_was_never_received_is_an_error(
    arrivals: Arrivals, here: dict[str, Any]
) -> None:
    arrivals.arrive(plain_bars(range(0, 50)))

    with pytest.raises(BarNotFound, match=r"The bar before it opens at 2024-12-30T05:00"):
        history(**here, at=hour(5) + timedelta(minutes=1))
    with pytest.raises(BarNotFound, match="No fetch has brought a bar of NASDAQ:AAPL 1h"):
        history(**here, at="2020-01-01")
    with pytest.raises(DatasetNotFound, match="Nothing of NASDAQ:AAPL 1D"):
        history(**here, timeframe="1D", at=hour(5))
    with pytest.raises(InvalidRequest, match="is no instant"):
        history(**here, at=None)  # type: ignore[arg-type]


def test_a_vanished_bar_has_a_history(arrivals: Arrivals, here: dict[str, Any]) -> None:
    arrivals.arrive(plain_bars(range(0, 50)))
    bars = plain_bars(range(0, 60))
    arrivals.arrive(bars.take([*range(30), *range(31, 60)]))

    (row,) = history(**here, at=hour(30)).to_dict("records")

    assert (row["finding"], row["until"]) == ("vanished", arrivals.now)


def test_a_split_a_dividend_and_a_roll_are_in_the_table(
    arrivals: Arrivals, here: dict[str, Any], live_server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrivals.arrive(plain_bars(range(0, 50)))
    found = []
    split = scaled(plain_bars(range(20, 70)), 0.25, volume_factor=4)
    arrivals.arrive(split)
    found.append(arrivals.now)
    assert adjustments(**here)["is_confirmed"].tolist() == [False]
    arrivals.arrive(split)
    confirmed_at = arrivals.now
    dividend = scaled(split, 0.98)
    arrivals.arrive(dividend)
    found.append(arrivals.now)
    days = Arrivals(timeframe="1D")
    days.arrive(plain_bars(range(0, 50)))

    table = adjustments(**here)

    assert table["found_at"].tolist() == found
    assert table["kind"].tolist() == ["split", "dividend"]
    assert table["factor"].tolist() == pytest.approx([0.25, 0.98], abs=1e-4)
    assert table["volume_factor"].tolist() == pytest.approx([4.0, 1.0])
    assert table["offset"].tolist() == [0.0, 0.0]
    assert table["first_time"].tolist() == [hour(20), hour(20)]
    assert table["last_time"].tolist() == [hour(49), hour(69)]
    assert table["generation"].tolist() == [2, 3]
    assert table["is_confirmed"].tolist() == [True, False]
    assert table["confirmed_at"].tolist()[0] == confirmed_at
    assert table["confirmed_at"].isna().tolist() == [False, True]
    monkeypatch.setenv("XDG_CACHE_HOME", str(here["folder"] / "cache"))
    there = {"symbol": "NASDAQ:AAPL", "source": "sample", "url": live_server.url}
    pd.testing.assert_frame_equal(adjustments(**there), table)
    decisions.accept_new(arrivals.revision("ratio"), by="ada")
    assert adjustments(**there)["is_confirmed"].tolist() == [True, True]


def test_a_series_without_a_step_has_an_empty_table_and_no_series_is_an_error(
    arrivals: Arrivals, here: dict[str, Any]
) -> None:
    arrivals.arrive(plain_bars(range(0, 50)))

    table = adjustments(**here, timeframe="1h")

    assert len(table) == 0
    kinds = {name: str(kind) for name, kind in table.dtypes.items()}
    assert kinds == {
        "timeframe": "str", "found_at": INSTANT, "kind": "str", "factor": "float64", "offset": "float64",
        "volume_factor": "float64", "first_time": INSTANT, "last_time": INSTANT, "n_bars": "int64",
        "generation": "int64", "is_confirmed": "bool", "confirmed_at": INSTANT, "revision": "int64",
    }  # fmt: skip
    with pytest.raises(DatasetNotFound, match=r"Nothing of NASDAQ:MSFT \(sample\) was archived"):
        adjustments(**{**here, "symbol": "NASDAQ:MSFT"})
    with pytest.raises(DatasetNotFound, match=r"Nothing of NASDAQ:AAPL 1D \(sample\) was archived"):
        adjustments(**here, timeframe="D")
    with pytest.raises(ServiceFailed):
        adjustments("NASDAQ:AAPL", source="sample", url="http://127.0.0.1:9")
