"""A symbol outside ASCII works in every face: API, file, catalog, pages, admin, search, loader, commands, rebuild."""

from __future__ import annotations

import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from hypothesis import assume, given
from hypothesis import strategies as st

from datasets.bars import DatasetKey, canonical_name, split_symbol
from datasets.errors import InvalidRequest
from datasets.fetching import attempt, feed_clients
from datasets.models import Dataset, Fetch
from datasets.research import load
from datasets.research.loader import catalog as catalog_of_files
from datasets.storage import MAX_NAME_BYTES, FolderStore, is_hashed, relative_path
from datasets.views.snippets import chart_address, snippets
from tests.support.factories import a_key, bars_table, fetched_bars
from tests.support.stacks import Feed

MakeDataset = Callable[..., Dataset]
SYMBOL = "币安人生USDT.P"
FULL = f"BINANCE:{SYMBOL}"
CODED = "%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT.P"
RECORDING = Path(__file__).parents[3] / "shared" / "cases" / "bianrensheng@60.json"
# More bytes than a file's name may have.
LONG = "币安" * 64


@pytest.fixture
def recording_feed(settings: Any, tmp_path: Path) -> Iterator[Feed]:
    """A sample feed that serves the recording."""
    if not RECORDING.exists():
        pytest.skip(f"{RECORDING} is not on this machine")
    feed = Feed(tmp_path, "--replay", str(RECORDING), "--timeframe", "60")
    settings.TV_WS_URL, settings.TV_SITE_URL = feed.ws_url, feed.site_url
    settings.TV_SEARCH_URL = feed.addresses["search_url"]
    feed_clients._client_of.cache_clear()
    yield feed
    feed_clients.feed_client().close()
    feed.stop()


@pytest.mark.django_db(transaction=True)
def test_bars_of_a_recorded_symbol_are_fetched_through_the_api(
    client: Client, recording_feed: Feed, store: FolderStore
) -> None:
    query = {"symbol": FULL, "timeframe": "1h", "n_bars": "5000"}

    accepted = client.get("/api/tv/ohlc", {**query, "wait": "0"})
    attempt.run_fetch(Fetch.objects.get().pk)
    response = client.get("/api/tv/ohlc", query)

    assert (accepted.status_code, response.status_code) == (202, 200)
    body = json.loads(response.content)
    assert (body["exchange"], body["symbol"]) == ("BINANCE", SYMBOL)
    assert body["ohlc"][0]["close"] == 0.205
    name = f"BINANCE_{CODED}_1h_5000.parquet"
    assert (store.folder / "sample" / name).is_file()
    table = load(FULL, "1h", source="sample", folder=store.folder.parent)
    assert (table.attrs["full_symbol"], len(table)) == (FULL, body["count"])


@pytest.mark.parametrize(
    "address",
    [
        f"/api/tv/ohlc?symbol={quote(FULL)}&n_bars=300",
        f"/api/tv/ohlc?symbol={quote(SYMBOL)}&exchange=BINANCE&n_bars=300&format=csv",
        f"/api/tv/datasets?symbol={quote(SYMBOL)}",
        f"/api/tv/datasets?q={quote('人生')}",
        f"/datasets/?q={quote('人生')}",
        f"/?symbol={quote(SYMBOL)}&exchange=BINANCE",
    ],
)
def test_every_address_takes_the_symbol(
    client: Client, make_dataset: MakeDataset, address: str
) -> None:
    make_dataset(300, symbol=SYMBOL)

    response = client.get(address)

    assert response.status_code == 200
    if "/datasets" in address:
        assert SYMBOL in response.content.decode()


def test_the_pages_and_the_admin_show_the_symbol_and_its_links_lead_to_it(
    client: Client, make_dataset: MakeDataset
) -> None:
    dataset = make_dataset(300, symbol=SYMBOL)
    client.force_login(User.objects.create_superuser("admin"))

    for address in (f"/datasets/{dataset.pk}/", "/admin/datasets/dataset/", f"/admin/datasets/dataset/{dataset.pk}/change/"):  # fmt: skip
        assert SYMBOL in client.get(address).content.decode()
    found = client.get("/admin/datasets/dataset/", {"q": "人生"}).content.decode()
    assert SYMBOL in found
    assert client.get(chart_address(dataset)).status_code == 200
    lines = dict(snippets(dataset, site=""))
    file_reply = client.get(f"/api/tv/datasets/{dataset.pk}/file")
    file_reply.close()
    assert f"BINANCE_{CODED}_1h_300.parquet" in file_reply["Content-Disposition"]
    assert f'load("{FULL}"' in lines["loader"]


def test_the_commands_take_and_print_the_symbol(
    make_dataset: MakeDataset, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    make_dataset(300, symbol=SYMBOL)
    out = io.StringIO()

    call_command("datasets", "list", FULL, "--json", stdout=out)
    call_command("datasets", "export", FULL, "--to", str(tmp_path / "copies"), stdout=io.StringIO())
    call_command("fetch", FULL, "-t", "1h", "-n", "300", "--json", stdout=(fetched := io.StringIO()))  # fmt: skip

    assert json.loads(out.getvalue())[0]["symbol"] == SYMBOL
    assert [path.name for path in (tmp_path / "copies").iterdir()] == [f"BINANCE_{CODED}_1h_300.parquet"]  # fmt: skip
    assert json.loads(fetched.getvalue())[0]["outcome"] == "cached"


@pytest.mark.parametrize("symbol", [SYMBOL, LONG, "😀USDT", "(币安:A+币安:B)/2" * 8])
def test_the_catalog_is_rebuilt_from_the_files(
    make_dataset: MakeDataset, store: FolderStore, symbol: str
) -> None:
    dataset = make_dataset(300, symbol=symbol)
    Dataset.objects.all().delete()

    call_command("datasets", "rebuild", stdout=io.StringIO())

    assert Dataset.objects.get().key == dataset.key
    folder = store.folder.parent
    assert len(load(dataset.key.full_symbol, source="sample", folder=folder)) == 300
    assert catalog_of_files(folder=folder)["full_symbol"].tolist() == [dataset.key.full_symbol]


def test_a_line_to_copy_holds_a_letter_outside_the_basic_plane_as_it_is(
    make_dataset: MakeDataset,
) -> None:
    dataset = make_dataset(300, symbol="😀USDT")

    line = dict(snippets(dataset, site=""))["loader"]

    compile(line, "snippet", "exec")
    assert "BINANCE:😀USDT" in line


def test_a_damaged_file_with_the_longest_name_is_set_aside(store: FolderStore) -> None:
    key = a_key(symbol=LONG, exchange="A" * 32, n_bars=1_000_000, session="extended", adjustment="dividends")  # fmt: skip
    path = store.path(key)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"no parquet")

    kept = store.quarantine(relative_path(key))

    assert kept is not None and kept.read_bytes() == b"no parquet"


def test_a_name_that_fits_is_the_one_of_earlier_versions() -> None:
    # 225 bytes for the symbol: the longest that a file name has room for here.
    symbol = "/" * 70 + "A" * 15

    name = relative_path(a_key(symbol=symbol, n_bars=5000)).partition("/")[2]

    assert name == f"BINANCE_{'%2F' * 70}{'A' * 15}_1h_5000.parquet"
    assert not is_hashed(name)


def test_a_series_is_found_whether_its_files_have_hashed_names_or_not(store: FolderStore) -> None:
    # The name fits with 5 bars, and does not with 5,000,000.
    symbol = "/" * 70 + "A" * 20
    names = [a_key(symbol=symbol, n_bars=n_bars) for n_bars in (5, 5_000_000)]
    assert [is_hashed(relative_path(key)) for key in names] == [False, True]
    for key in names:
        store.write(key, fetched_bars(bars_table(min(key.n_bars, 20))))

    bars = load(f"BINANCE:{symbol}", source="sample", folder=store.folder.parent)

    assert len(bars) == 20


anything = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=130)


@given(anything)
def test_a_symbol_has_one_spelling(text: str) -> None:
    try:
        key = DatasetKey.parse(source="sample", symbol=f"BINANCE:{text}")
    except InvalidRequest:
        return
    exchange, symbol = key.exchange, key.symbol
    assert split_symbol(symbol, exchange) == (exchange, symbol)
    for again in (unicodedata.normalize("NFC", text), unicodedata.normalize("NFD", text)):
        assert split_symbol(f"binance:{again}", "") == (exchange, symbol)


symbols = anything.filter(
    lambda text: text.isprintable() and "\ufffd" not in text and not re.search(r"[\s:]", text)
)


@given(symbols, symbols)
def test_two_symbols_never_share_a_file_and_every_name_is_short_enough(
    one: str, other: str
) -> None:
    one, other = one[:40], other[:40]
    keys = [a_key(symbol=text, exchange="BINANCE") for text in (one, other)]
    assume(keys[0] != keys[1])
    paths = []
    for key in keys:
        path = relative_path(key)
        assert path.isascii() and len(path.partition("/")[2]) <= MAX_NAME_BYTES
        paths.append(path.casefold())

    assert paths[0] != paths[1]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("btcusdt", "BTCUSDT"),
        ("BTCUſDT", "BTCUſDT"),
        ("straße", "STRAßE"),
        ("i̇x", "İX"),
        ("café", "CAFé"),
    ],
)
def test_only_ascii_letters_are_made_upper_case(text: str, name: str) -> None:
    assert canonical_name(text) == name


@pytest.mark.parametrize("symbol", ["币 安", "币\u3000安", "币\u200b安", "\u202e币安", "币\x00", "币\ufffd", "币" * 129, ""])  # fmt: skip
def test_what_cannot_be_printed_is_no_symbol(client: Client, db: None, symbol: str) -> None:
    response = client.get("/api/tv/ohlc", {"symbol": symbol, "exchange": "BINANCE"})

    assert response.status_code == 400
    assert "symbol" in json.loads(response.content)["errors"]
