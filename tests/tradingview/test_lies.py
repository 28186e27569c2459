"""Answers with the wrong bars or instrument: refused by name, or stored with a doubt."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from datasets import errors
from datasets.bars import FetchedBars
from datasets.fetching import attempt, feed_clients, fetch_queue
from datasets.models import Dataset
from datasets.storage import FolderStore
from datasets.tradingview.client import FeedClient
from datasets.views import phrases
from tests.support.factories import a_key
from tests.support.recordings import case
from tests.support.stacks import Feed
from tests.tradingview.test_faults import _peak_kb, _reset_peak_kb

# fault, timeframe, code, whether the fetch is retried, a part of the sentence
REFUSED = [
    ("shorter_bars", "1h", "wrong_bars", False, "bars of 1h and answered with .* 1 minutes apart"),
    ("shorter_bars", "5", "wrong_bars", False, "bars of another length"),
    ("shorter_bars", "4h", "wrong_bars", False, "bars of another length"),
    ("shorter_bars", "1D", "wrong_bars", False, "bars of another length"),
    ("shorter_bars", "1W", "wrong_bars", False, "bars of another length"),
    ("shorter_bars", "1M", "wrong_bars", False, "bars of another length"),
    ("shorter_bars", "1", "wrong_bars", False, "bars of 1 and .* 1 days apart"),
    ("longer_bars", "1", "wrong_bars", False, "bars of another length"),
    ("longer_bars", "1h", "wrong_bars", False, "1 days apart"),
    ("longer_bars", "1D", "wrong_bars", False, "7 days apart"),
    ("longer_bars", "1W", "wrong_bars", False, "1 days apart"),
    ("other_instrument", "1h", "wrong_bars", False, "for BINANCE:BTCUSDT, .* NASDAQ:MSFT"),
    ("other_instrument_later", "1h", "wrong_bars", False, "NASDAQ:MSFT"),
    ("future_bars", "1h", "wrong_bars", False, "in the future: this machine's clock says"),
    ("future_bars", "1D", "wrong_bars", False, "in the future"),
    ("odd_seconds", "1h", "bad_bars", False, ":07Z; bars of 1h open at whole minutes"),
    ("negative_volume", "1h", "bad_bars", False, "a volume below zero"),
    ("changed_after_completion", "1h", "bars_changed", True, "changed 297 newer bars"),
    ("changed_newer_bars", "1h", "bars_changed", True, "changed 144 newer bars"),
]
DOUBTED = [
    ("off_grid", {"off_grid": 1}),
    ("shifted_grid", {"off_grid": 300}),
    ("zero_price", {"zero_price": 1, "inconsistent": 0}),
    ("other_listing", {"instrument": 300}),
    ("completed_twice", {"completed_twice": 300}),
    ("completed_again", {"completed_twice": 300}),
]


@pytest.fixture
def client(clean_feed: Feed) -> Iterator[FeedClient]:
    made = FeedClient(clean_feed.ws_url, timeout_s=5, deadline_s=20)
    yield made
    made.close()


def fetch(client: FeedClient, **changes: Any) -> FetchedBars:
    return client.fetch_bars(a_key(**changes))


@pytest.mark.parametrize(("name", "timeframe", "code", "retryable", "said"), REFUSED)
def test_each_lie_is_refused_by_name_with_its_message(
    client: FeedClient,
    clean_feed: Feed,
    name: str,
    timeframe: str,
    code: str,
    retryable: bool,
    said: str,
) -> None:
    clean_feed.arm(name)

    with pytest.raises(errors.BadBars, match=said) as caught:
        fetch(client, timeframe=timeframe)

    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    assert caught.value.reply.startswith(b"~m~")


@pytest.mark.parametrize(("name", "doubts"), DOUBTED)
def test_each_oddity_that_may_be_right_is_stored_with_a_doubt(
    client: FeedClient, clean_feed: Feed, name: str, doubts: dict[str, int]
) -> None:
    clean_feed.arm(name, times=1)

    fetched = fetch(client)

    assert fetched.doubts == {code: number for code, number in doubts.items() if number}
    assert fetched.table.num_rows == 300


def test_a_repeated_end_leaves_no_bar_out(client: FeedClient, clean_feed: Feed) -> None:
    good = fetch(client, timeframe="1D")
    clean_feed.arm("completed_again", times=1)

    fetched = fetch(client, timeframe="1D")

    # All bars except the forming one.
    assert fetched.table.slice(0, 299).equals(good.table.slice(0, 299))


@pytest.mark.parametrize(
    "full_symbol",
    ["BINANCE:BTCUSDT", "NASDAQ:AAPL", "CME_MINI:ES1!", "FX_IDC:EURUSD", "NSE:JUNIPER", "TSE:7203", "BINANCE:BTCUSDT.P",
     "HOSE:VCB", "NYSE:BRK.A", "NSE:M&M", "SP:SPX", "(COINBASE:BTCUSD+BITSTAMP:BTCUSD)/2", "LSE:VOD"],
)  # fmt: skip
def test_no_good_answer_raises_a_doubt(client: FeedClient, full_symbol: str) -> None:
    timeframes = ("1", "45", "1h", "4h", "1D", "1W", "1M")
    for timeframe, session in product(timeframes, ("regular", "extended")):
        fetched = fetch(
            client,
            exchange="",
            symbol=full_symbol,
            timeframe=timeframe,
            n_bars=400,
            session=session,
        )
        assert fetched.doubts == {}


def test_a_crowded_message_is_neither_parsed_nor_loaded_into_memory(
    client: FeedClient, clean_feed: Feed
) -> None:
    clean_feed.arm("crowded_message", bytes=2_000_000)
    before = _reset_peak_kb()

    with pytest.raises(errors.FeedProtocol, match="values, more than the requested bars can need"):
        fetch(client)

    assert _peak_kb() - before < 16 * 1024


def test_a_message_larger_than_the_bars_asked_for_is_not_read(
    client: FeedClient, clean_feed: Feed
) -> None:
    clean_feed.arm("crowded_message")
    before = _reset_peak_kb()

    with pytest.raises(errors.FeedProtocol, match="more than 14.9 MB"):
        fetch(client, n_bars=40_000)

    # 1.1 GB once.
    assert _peak_kb() - before < 48 * 1024


def test_a_symbol_outside_ascii_comes_from_a_recording_as_it_is(tmp_path: Path) -> None:
    path = case("bianrensheng@60.json")
    feed = Feed(tmp_path, "--replay", str(path), "--timeframe", "60")
    client = FeedClient(feed.ws_url, timeout_s=5, deadline_s=20)
    try:
        fetched = fetch(client, exchange="BINANCE", symbol="币安人生USDT.P", n_bars=100)
        asked = feed.stats()["resolve_payloads"][-1]["symbol"]
    finally:
        client.close()
        feed.stop()

    assert asked == fetched.instrument.pro_name == "BINANCE:币安人生USDT.P"
    assert (fetched.table.num_rows, fetched.doubts) == (100, {})


# --- the whole fetch: row, file, sentence -----------------------------------------------------


@pytest.fixture
def use_feed(settings: Any, clean_feed: Feed) -> Iterator[None]:
    settings.TV_WS_URL, settings.TV_SITE_URL = clean_feed.ws_url, clean_feed.site_url
    feed_clients._client_of.cache_clear()
    yield
    feed_clients.feed_client().close()


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("use_feed")
def test_a_refused_lie_leaves_no_dataset_and_keeps_its_class_and_its_message(
    clean_feed: Feed, store: FolderStore
) -> None:
    clean_feed.arm("other_instrument")
    row = fetch_queue.open_fetch(a_key(), via="api")[0]

    with pytest.raises(errors.WrongBars, match=r"kept for the operator in rejected/") as caught:
        attempt.run_fetch(row.pk)

    kept = store.folder.parent / "rejected" / f"fetch-{row.pk}.txt"
    assert b"NASDAQ:MSFT" in kept.read_bytes()
    assert not Dataset.objects.exists()
    assert "Nothing was stored" in str(caught.value)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("use_feed")
def test_a_doubt_stands_in_the_row_the_file_and_a_sentence(
    clean_feed: Feed, store: FolderStore
) -> None:
    clean_feed.arm("zero_price")
    row = fetch_queue.open_fetch(a_key(), via="api")[0]

    attempt.run_fetch(row.pk)

    dataset = Dataset.objects.get()
    assert dataset.doubts == store.read(dataset.path)[1].facts.doubts == {"zero_price": 1}
    assert "1 with a price of zero" in phrases.flaws_of(dataset)


@pytest.mark.django_db
def test_every_way_to_a_dataset_shows_its_doubts(
    make_dataset: Any, admin_client: Any, client: Any
) -> None:
    dataset = make_dataset(300, reply={"doubts": {"off_grid": 3}})

    page = admin_client.get(f"/datasets/{dataset.pk}/").content.decode()
    listed = admin_client.get("/admin/datasets/dataset/").content.decode()
    reply = admin_client.get("/api/tv/ohlc?symbol=BINANCE:BTCUSDT&n_bars=300").json()
    row = admin_client.get(f"/api/tv/datasets/{dataset.pk}").json()

    assert "3 off the bar grid" in page
    assert "3 off the bar grid" in listed
    assert reply["doubts"] == row["doubts"] == {"off_grid": 3}
