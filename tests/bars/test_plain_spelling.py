"""Numbers, instants and names are read in one plain spelling, wherever they are given."""

from __future__ import annotations

import json
from argparse import ArgumentTypeError
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from datasets.bars import DatasetKey
from datasets.errors import InvalidRequest
from datasets.management.console import read_age
from datasets.management.dataset_arguments import read_size
from datasets.models import Dataset, Fetch
from datasets.research import load
from datasets.storage import FolderStore
from tvproject import env

MakeDataset = Callable[..., Dataset]
OHLC = "/api/tv/ohlc?symbol=BINANCE:BTCUSDT&n_bars=300"
# What Python reads as a number, and nobody writes on purpose.
ODD_NUMBERS = ["1_000", "１０００", "١٠٠٠", " 300", "300.0", "²"]


@pytest.mark.parametrize("number", ODD_NUMBERS)
@pytest.mark.parametrize(
    ("address", "field"),
    [
        ("/api/tv/ohlc?symbol=X:Y", "n_bars"),
        ("/api/tv/ohlc?symbol=X:Y", "max_age"),
        ("/api/tv/symbols?query=x", "start"),
        ("/api/tv/datasets?", "n_bars"),
        ("/api/tv/datasets?", "page_size"),
        ("/api/tv/fetches?", "dataset"),
    ],
)
def test_the_api_takes_plain_whole_numbers_only(
    client: Client, db: None, address: str, field: str, number: str
) -> None:
    response = client.get(f"{address}&{field}={number}")

    assert response.status_code == 400
    assert list(json.loads(response.content)["errors"]) == [field]


@pytest.mark.parametrize("number", ["1_0", "１", "1_0.5", "nan", "inf", "0x1"])
def test_the_api_takes_plain_seconds_only(client: Client, db: None, number: str) -> None:
    response = client.get(f"/api/tv/ohlc?symbol=X:Y&wait={number}")

    assert response.status_code == 400
    assert list(json.loads(response.content)["errors"]) == ["wait"]


def test_a_body_takes_plain_numbers_only(client: Client, db: None) -> None:
    wanted = {"symbol": "BINANCE:BTCUSDT", "n_bars": "1_000"}

    response = client.post("/api/tv/fetches", wanted, content_type="application/json")

    assert response.status_code == 400
    assert not Fetch.objects.exists()


@pytest.mark.parametrize("number", ODD_NUMBERS)
def test_the_commands_take_plain_numbers_only(db: None, number: str) -> None:
    with pytest.raises(CommandError, match="not a number"):
        call_command("fetch", "BINANCE:BTCUSDT", "-n", number)
    with pytest.raises(CommandError, match="not a number"):
        call_command("datasets", "prune", "--keep-newest", number)
    with pytest.raises(CommandError):
        call_command("datasets", "show", number)


@pytest.mark.parametrize("text", ["١d", "1_0d", "１d", "²d"])
def test_an_age_and_a_size_are_in_plain_digits(text: str) -> None:
    with pytest.raises(ArgumentTypeError):
        read_age(text)
    with pytest.raises(ArgumentTypeError):
        read_size(text.replace("d", "M"))


@pytest.mark.parametrize("name", ["TV_MAX_BARS", "PORT", "TV_TIMEOUT_S", "TRUSTED_PROXIES"])
@pytest.mark.parametrize("number", ["1_0", "１", "٣", "+3", "1e1"])
def test_settings_are_in_plain_digits(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str, number: str
) -> None:
    monkeypatch.setenv(name, number)

    with pytest.raises(env.SettingsError, match=name):
        env.read_settings(tmp_path)


@pytest.mark.parametrize("timeframe", ["１h", "1ｈ", "٣", "1_5", "1K"])
def test_a_timeframe_is_in_plain_letters_and_digits(timeframe: str) -> None:
    with pytest.raises(InvalidRequest, match="is no timeframe"):
        DatasetKey.parse(source="sample", symbol="X:Y", timeframe=timeframe)


@pytest.mark.parametrize("exchange", ["ſSE", "NЅE", "N＿E"])
def test_an_exchange_is_in_plain_letters(client: Client, db: None, exchange: str) -> None:
    response = client.get("/api/tv/ohlc", {"symbol": "X", "exchange": exchange})

    assert list(json.loads(response.content)["errors"]) == ["exchange"]


def test_a_long_s_is_another_symbol_than_an_s(client: Client, make_dataset: MakeDataset) -> None:
    make_dataset(300)

    response = client.get("/api/tv/ohlc?symbol=BINANCE:BTCUſDT&n_bars=300&wait=0")

    assert response.status_code == 202


# --- instants ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["2025", "20250110", "12345678", "0", "-1", "1736467200000", "1_736_467_200", "１７３６４６７２００",
     "0001-01-01T00:00:00%2B05:00", "9999-12-31T23:59:59-05:00", "1e9", "."],
)  # fmt: skip
@pytest.mark.parametrize("name", ["start", "end"])
def test_an_instant_is_iso_8601_or_unix_seconds_of_nine_digits_at_least(
    client: Client, make_dataset: MakeDataset, name: str, text: str
) -> None:
    dataset = make_dataset(300)

    for address in (OHLC, f"/api/tv/datasets/{dataset.pk}/bars?format=json"):
        response = client.get(f"{address}&{name}={text}")

        assert response.status_code == 400
        said = json.loads(response.content)["errors"][name][0]
        assert "ISO 8601" in said and "at least nine digits" in said


@pytest.mark.parametrize("name", ["fetched_after", "fetched_before"])
@pytest.mark.parametrize("text", ["2025", "0001-01-01T00:00:00%2B05:00", "9999-12-31T23:59:59-05:00", "２０２５-01-01"])  # fmt: skip
def test_the_lists_read_instants_by_the_same_rule(
    client: Client, db: None, name: str, text: str
) -> None:
    response = client.get(f"/api/tv/datasets?{name}={text}")

    assert response.status_code == 400
    assert "at least nine digits" in json.loads(response.content)["errors"][name][0]


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00-05:00", "-62135596800", "1735689600", "1735689600.0", "2025-01-01", "20250101T000000Z"])  # fmt: skip
def test_an_instant_that_there_is_can_be_asked_for(
    client: Client, make_dataset: MakeDataset, text: str
) -> None:
    make_dataset(300)

    response = client.get(f"{OHLC}&start={text}")

    assert response.status_code == 200
    assert json.loads(response.content)["count"] == 300


@pytest.mark.parametrize(
    "bounds",
    [{"start": "0001-01-01T00:00:00+05:00"}, {"end": "9999-12-31T23:59:59-05:00"}],
)
def test_the_loader_takes_bounds_at_the_ends_of_the_calendar(
    make_dataset: MakeDataset, store: FolderStore, bounds: dict[str, Any]
) -> None:
    make_dataset(300)

    assert (
        len(load("BINANCE:BTCUSDT", source="sample", folder=store.folder.parent, **bounds)) == 300
    )


@pytest.mark.parametrize("text", ["２０２５", "２０２５-01-01", "1_000", "20_25"])
def test_the_loader_reads_instants_in_plain_digits(
    make_dataset: MakeDataset, store: FolderStore, text: str
) -> None:
    make_dataset(300)

    with pytest.raises(InvalidRequest, match="no instant"):
        load("BINANCE:BTCUSDT", start=text, source="sample", folder=store.folder.parent)
