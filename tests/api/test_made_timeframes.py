"""GET /api/tv/ohlc for timeframes that TradingView does not send."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from django.test import Client

from datasets.bars import BAR_SCHEMA, Instrument
from datasets.catalog import records
from datasets.models import Dataset
from datasets.research import load
from datasets.serving.reply_bodies import bodies
from datasets.storage import FolderStore
from tests.support.factories import a_key, bars_table, fetched_bars

MakeDataset = Callable[..., Dataset]
OHLC = "/api/tv/ohlc?symbol=BINANCE:BTCUSDT"
ROUND_THE_CLOCK = Instrument(timezone="Etc/UTC", session_hours="24x7")


@pytest.fixture(autouse=True)
def nothing_rendered() -> None:
    bodies.rendered.clear()


@pytest.fixture
def make(db: None, store: FolderStore) -> MakeDataset:
    """Return a function that makes a dataset of a market that never closes."""

    def make(n_rows: int, timeframe: str, step: int, **changes: Any) -> Dataset:
        table = bars_table(n_rows, step=step, has_volume=changes.pop("has_volume", True))
        fetched = fetched_bars(table, **{"instrument": ROUND_THE_CLOCK} | changes)
        return records.record(store.write(a_key(n_bars=n_rows, timeframe=timeframe), fetched))

    return make


def get(client: Client, address: str) -> dict[str, Any]:
    response = client.get(address)
    assert response.status_code == 200, response.content
    found: dict[str, Any] = json.loads(response.content)
    return found


def test_bars_of_six_hours_are_made_of_three_and_say_so(
    client: Client, make: MakeDataset, own_outputs: Path
) -> None:
    dataset = make(300, "3h", 10800)

    body = get(client, f"{OHLC}&timeframe=360&n_bars=100")

    bars = load("BINANCE:BTCUSDT", "6h", n_bars=100, source=dataset.source, folder=own_outputs)
    assert (body["timeframe"], body["made_from"], body["dataset"]) == ("6h", "3h", dataset.pk)
    assert body["last_bar_final"] is True
    assert body["count"] == len(body["ohlc"]) == 100
    times = pd.to_datetime([bar["time"] for bar in body["ohlc"]])
    assert times.tolist() == bars.index.tolist()
    assert [bar["close"] for bar in body["ohlc"]] == bars["close"].tolist()
    assert [bar["volume"] for bar in body["ohlc"]] == bars["volume"].tolist()


def test_a_fetched_timeframe_does_not_say_that_it_is_made(
    client: Client, make: MakeDataset
) -> None:
    make(300, "3h", 10800)

    body = get(client, f"{OHLC}&timeframe=3h&n_bars=300")

    assert "made_from" not in body


def test_a_forming_bar_is_part_of_no_made_bar(client: Client, make: MakeDataset) -> None:
    make(96, "1h", 3600, last_bar_final=False)

    eleven, five = (get(client, f"{OHLC}&timeframe={hours}h&n_bars=3") for hours in (11, 5))

    # The last bar of a day ends with the day.
    assert [bar["time"][8:13] for bar in eleven["ohlc"]] == ["03T22", "04T00", "04T11"]
    assert five["ohlc"][-1]["time"] == "2025-01-04T15:00:00Z"
    assert five["held_through"] == "2025-01-04T15:00:00Z"


def test_ranges_columns_and_formats_are_those_of_the_made_bars(
    client: Client, make: MakeDataset
) -> None:
    make(300, "3h", 10800)
    address = f"{OHLC}&timeframe=6h&n_bars=100&start=2025-01-20&end=2025-01-21"

    part = get(client, address)
    file = client.get(f"{address}&format=parquet")
    closes = get(client, f"{address}&fields=time,close")

    assert [bar["time"][11:13] for bar in part["ohlc"]] == ["00", "06", "12", "18"]
    assert part["covers_start"] is True
    table = pq.read_table(io.BytesIO(file.content))
    assert table.schema.remove_metadata() == BAR_SCHEMA
    assert table.num_rows == 4
    assert closes["ohlc"][0] == {"time": "2025-01-20T00:00:00Z", "close": part["ohlc"][0]["close"]}


def test_an_unknown_volume_stays_unknown(client: Client, make: MakeDataset) -> None:
    make(60, "1W", 7 * 86400, has_volume=False)

    body = get(client, f"{OHLC}&timeframe=2W&n_bars=10")

    assert {bar["volume"] for bar in body["ohlc"]} == {None}


def test_unknown_hours_are_an_error_that_says_why(client: Client, make: MakeDataset) -> None:
    make(300, "3h", 10800, instrument=Instrument(timezone="Etc/UTC", session_hours="whenever"))

    response = client.get(f"{OHLC}&timeframe=6h&n_bars=100")

    assert response.status_code == 400
    (message,) = json.loads(response.content)["errors"]["timeframe"]
    assert message.startswith("Bars of 6h cannot be made. The trading hours")


def test_a_missing_base_is_fetched(
    client: Client, db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.fetching.tasks.enqueue", lambda number: None)

    response = client.get(f"{OHLC}&timeframe=6h&n_bars=100&wait=0")

    assert response.status_code == 202
    fetch = json.loads(response.content)
    assert (fetch["timeframe"], fetch["n_bars"]) == ("3h", 204)


@pytest.mark.parametrize("timeframe", ["25h", "5M", "0", "seven"])
def test_a_timeframe_that_is_none_names_what_is_allowed(client: Client, timeframe: str) -> None:
    response = client.get(f"{OHLC}&timeframe={timeframe}")

    assert response.status_code == 400
    (message,) = json.loads(response.content)["errors"]["timeframe"]
    assert "such as 7, 6h, 2D, 2W, 3M" in message


def test_only_fetched_timeframes_can_be_fetched_ahead(client: Client, db: None) -> None:
    body = {"symbol": "BINANCE:BTCUSDT", "timeframe": "6h"}

    response = client.post("/api/tv/fetches", body, content_type="application/json")

    assert response.status_code == 400
    assert "timeframe" in json.loads(response.content)["errors"]
