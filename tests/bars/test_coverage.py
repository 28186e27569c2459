"""A reply, a header and the loader's attrs say whether the bars reach back to `start`."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from django.test import Client

from datasets.formats import FORMATS
from datasets.models import Dataset
from datasets.research import load
from datasets.storage import FolderStore
from tests.support.factories import a_key, bars_table, fetched_bars

MakeDataset = Callable[..., Dataset]
OHLC = "/api/tv/ohlc?symbol=BINANCE:BTCUSDT&n_bars=300"
# 300 hours from 2025-01-01T00:00.
FIRST, LAST = "2025-01-01T00:00:00Z", "2025-01-13T11:00:00Z"
NAMES = ("covers_start", "held_from", "held_through")


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("", (None, FIRST, LAST)),
        ("&start=2024-12-31T23:59:59Z", (False, FIRST, LAST)),
        ("&start=2025-01-01T00:00:00Z", (True, FIRST, LAST)),
        ("&start=2025-01-05T00:00:00Z&end=2025-01-06", (True, FIRST, LAST)),
        ("&start=2020-01-01&end=2020-02-01", (False, FIRST, LAST)),
        ("&start=2025-01-05&n_bars=10", (False, "2025-01-13T02:00:00Z", LAST)),
    ],
)
def test_a_reply_says_whether_the_bars_reach_back_to_the_start(
    client: Client, make_dataset: MakeDataset, asked: str, expected: tuple[object, ...]
) -> None:
    make_dataset(300)
    query = f"{OHLC.removesuffix('300')}{'10' if 'n_bars' in asked else '300'}"

    body = json.loads(client.get(query + asked.removesuffix("&n_bars=10")).content)

    assert tuple(body[name] for name in NAMES) == expected


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("is_early", [False, True])
def test_a_header_says_it_in_every_format(
    client: Client, make_dataset: MakeDataset, name: str, is_early: bool
) -> None:
    dataset = make_dataset(300)
    address = f"{OHLC}&start=2024-01-01&format={name}"
    if is_early:
        client.get(address)

    replies = [client.get(address), client.get(f"/api/tv/datasets/{dataset.pk}/bars?start=2024-01-01&format={name}")]  # fmt: skip
    replies.append(client.get(address, headers={"If-None-Match": replies[0]["ETag"]}))

    assert [reply.status_code for reply in replies] == [200, 200, 304]
    for reply in replies:
        said = (reply["Covers-Start"], reply["Held-From"], reply["Held-Through"])
        assert said == ("false", FIRST, LAST)


def test_a_reply_without_a_start_has_no_word_on_it(
    client: Client, make_dataset: MakeDataset
) -> None:
    make_dataset(300)

    reply = client.get(f"{OHLC}&format=csv")

    assert "Covers-Start" not in reply
    assert reply["Held-From"] == FIRST


def test_a_bar_that_is_forming_is_not_held_where_it_is_left_out(
    client: Client, make_dataset: MakeDataset, store: FolderStore
) -> None:
    make_dataset(1, reply={"last_bar_final": False})
    query = "/api/tv/ohlc?symbol=BINANCE:BTCUSDT&n_bars=1"

    body = json.loads(client.get(f"{query}&closed=true&start=2025-01-01").content)
    bars = load("BINANCE:BTCUSDT", source="sample", start="2025-01-01", folder=store.folder.parent)

    assert tuple(body[name] for name in NAMES) == (False, None, None)
    assert tuple(bars.attrs[name] for name in NAMES) == (False, None, None)


@pytest.mark.parametrize(
    ("bounds", "covers_start"),
    [({}, None), ({"start": "2024-12-31"}, False), ({"start": "2025-01-01"}, True), ({"start": "2025-01-02", "end": "2025-01-03"}, True)],
)  # fmt: skip
def test_the_loader_says_the_same_as_the_api(
    client: Client,
    make_dataset: MakeDataset,
    store: FolderStore,
    bounds: dict[str, str],
    covers_start: bool | None,
) -> None:
    make_dataset(300)
    start, end = bounds.get("start"), bounds.get("end")

    bars = load(
        "BINANCE:BTCUSDT", source="sample", start=start, end=end, folder=store.folder.parent
    )
    body = json.loads(client.get(OHLC, {"symbol": "BINANCE:BTCUSDT", "n_bars": "300"} | bounds).content)  # fmt: skip

    assert bars.attrs["covers_start"] is covers_start
    assert body["covers_start"] is covers_start
    for name in ("held_from", "held_through"):
        assert bars.attrs[name] == body[name].replace("Z", "+00:00")


def test_the_loader_counts_the_held_bars_among_the_newest(store: FolderStore) -> None:
    store.write(a_key(n_bars=300), fetched_bars(bars_table(300)))

    bars = load(
        "BINANCE:BTCUSDT", n_bars=10, start="2025-01-05", source="sample", folder=store.folder.parent
    )  # fmt: skip

    assert bars.attrs["held_from"] == "2025-01-13T02:00:00+00:00"
    assert bars.attrs["covers_start"] is False
