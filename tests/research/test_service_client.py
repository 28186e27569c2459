"""Bars from a running service: cached copies, and fetches."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import requests

from datasets.bars import DatasetKey
from datasets.errors import InvalidRequest, SymbolNotFound
from datasets.research import (
    DatasetNotFound,
    ServiceFailed,
    catalog,
    load,
    load_panel,
    reader,
)
from datasets.research.arguments import needs_fetch
from datasets.research.service import service_http
from samplefeed.bars import bars_for
from tests.support.stacks import Feed, Stack, free_port

NOW = "2026-01-09T21:30:30Z"
NOW_S = 1_767_994_230


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service with a worker, on a feed whose clock stands still."""
    folder = tmp_path_factory.mktemp("research")
    feed = Feed(folder, "--now", NOW)
    running = Stack(folder, feed)
    try:
        running.start_web()
        running.start_worker()
        yield running
    finally:
        running.stop()
        feed.stop()


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_missing_dataset_is_fetched_and_holds_the_feeds_own_bars(stack: Stack) -> None:
    for symbol, timeframe in [
        ("BINANCE:BTCUSDT", "1h"),
        ("NASDAQ:AAPL", "1D"),
        ("FX_IDC:EURUSD", "4h"),
    ]:
        bars = load(
            symbol,
            timeframe,
            n_bars=400,
            fetch="missing",
            source="sample",
            closed=False,
            url=stack.url,
        )

        theirs = bars_for(symbol, timeframe.upper(), 400, now=NOW_S)
        ours = [
            [time.timestamp(), *row]
            for time, row in zip(bars.index, bars.to_numpy().tolist(), strict=True)
        ]
        n_columns = len(theirs[0])
        assert [row[:n_columns] for row in ours] == theirs
        assert bars.attrs["source"] == "sample"


def test_the_service_and_its_files_give_the_same(stack: Stack) -> None:
    over_http = load("LOAD:SAME", n_bars=100, fetch="missing", source="sample", url=stack.url)
    outputs = stack.folder / "outputs"

    from_files = load("LOAD:SAME", n_bars=100, source="sample", folder=outputs)

    assert over_http.equals(from_files)
    assert over_http.attrs == from_files.attrs


def test_a_copy_is_kept_and_revalidated_by_its_etag(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    load("LOAD:KEPT", n_bars=100, fetch="missing", source="sample", url=stack.url)
    statuses: list[int] = []
    ask = service_http.Connection.request

    def noted(
        self: service_http.Connection, method: str, address: str, **options: Any
    ) -> service_http.Reply:
        answer = ask(self, method, address, **options)
        statuses.append(answer.status)
        return answer

    monkeypatch.setattr(service_http.Connection, "request", noted)
    again = load("LOAD:KEPT", source="sample", url=stack.url)

    assert len(again) == 99
    # One request for the catalog, and one that revalidates the file.
    assert statuses == [200, 304]


def test_a_panel_is_loaded_from_the_service(stack: Stack) -> None:
    names = [f"LOAD:P{number}" for number in range(5)]

    panel = load_panel(names, "1h", n_bars=50, fetch="missing", source="sample", url=stack.url)
    again = load_panel(names, "1h", source="sample", url=stack.url)

    assert panel.shape == (49, 5)
    assert panel.equals(again)
    assert catalog(url=stack.url)["full_symbol"].isin(names).sum() == 5


def test_a_stale_dataset_is_fetched_again(stack: Stack) -> None:
    first = load("LOAD:OLD", n_bars=50, fetch="missing", source="sample", url=stack.url)

    fresh = load("LOAD:OLD", n_bars=50, fetch="stale", source="sample", url=stack.url)
    assert fresh.attrs["fetched_at"] == first.attrs["fetched_at"]

    key = DatasetKey.parse(symbol="LOAD:OLD", timeframe="1h", n_bars=50, source="sample")
    assert needs_fetch(key, {"fetched_at": "2026-01-01T00:00:00+00:00"}, "stale")


def test_the_error_of_a_refused_fetch_names_the_symbol_and_the_reason(stack: Stack) -> None:
    load("LOAD:PINNED", n_bars=50, fetch="missing", source="sample", url=stack.url)
    script = "from datasets.models import Dataset; Dataset.objects.filter(symbol='PINNED').update(is_pinned=True, fetched_at='2025-01-01T00:00Z')"
    stack.manage("shell", "--no-imports", "-c", script)

    with pytest.raises(ServiceFailed, match=r"LOAD:PINNED: .*is pinned"):
        load("LOAD:PINNED", n_bars=50, fetch="stale", source="sample", url=stack.url)


def test_without_an_address_the_service_of_this_machine_fetches(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PORT", stack.url.rpartition(":")[2])
    outputs = stack.folder / "outputs"

    bars = load("LOAD:HERE", n_bars=60, fetch="missing", source="sample", folder=outputs)
    panel = load_panel(
        ["LOAD:HERE", "LOAD:THERE"], n_bars=60, fetch="missing", source="sample", folder=outputs
    )

    assert len(bars) == 59
    assert panel.shape == (59, 2)


def test_a_fetch_that_fails_is_its_own_error(stack: Stack) -> None:
    with pytest.raises(SymbolNotFound):
        load("BINANCE:NOSUCHCOIN", n_bars=10, fetch="missing", source="sample", url=stack.url)


def test_sample_bars_are_never_the_default(stack: Stack) -> None:
    with pytest.raises(DatasetNotFound, match="It serves the source 'sample'"):
        load("BINANCE:BTCUSDT", url=stack.url)
    with pytest.raises(ServiceFailed, match="fetches from the source 'sample'"):
        load("BINANCE:BTCUSDT", fetch="missing", url=stack.url)


def test_a_missing_dataset_is_named_with_close_matches(stack: Stack) -> None:
    load("LOAD:NAMED", n_bars=10, fetch="missing", source="sample", url=stack.url)

    with pytest.raises(
        DatasetNotFound, match=r"Close: LOAD:NAMED 1h with 10 bars\. fetch='missing'"
    ):
        load("LOAD:NAMEX", source="sample", url=stack.url)


def test_an_unreachable_service_is_named_in_one_sentence() -> None:
    url = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(ServiceFailed, match=f"{url} cannot be reached"):
        load("BINANCE:BTCUSDT", url=url)
    with pytest.raises(ServiceFailed, match="answered 404|cannot be reached"):
        catalog(url=url)


@pytest.fixture(scope="module")
def closed(stack: Stack) -> tuple[str, dict[str, str]]:
    """A second web server on the same data that requires API tokens; its address, and tokens by scope."""
    script = (
        "from django.contrib.auth.models import User\n"
        "from datasets.models import ApiToken\n"
        "reader = User.objects.create_user('reader', password='a long secret')\n"
        "for scope in ('read', 'fetch'):\n"
        "    token = ApiToken(name=scope, user=reader, scope=scope)\n"
        "    print(scope, token.renew())\n"
        "    token.save()\n"
    )
    lines = stack.manage("shell", "--no-imports", "-c", script).stdout.split()
    open_url = stack.url
    stack.start_web(API_ACCESS="login")
    closed_url, stack.url = stack.url, open_url
    return closed_url, dict(zip(lines[::2], lines[1::2], strict=True))


def test_a_service_that_requires_a_token_accepts_a_token_or_a_password(
    stack: Stack, closed: tuple[str, dict[str, str]]
) -> None:
    url, tokens = closed
    load("LOAD:WHO", n_bars=10, fetch="missing", source="sample", url=stack.url)

    with pytest.raises(ServiceFailed, match=r"requires an API token: .* Pass token=\."):
        load("LOAD:WHO", source="sample", url=url)
    with pytest.raises(ServiceFailed, match="no such token"):
        load("LOAD:WHO", source="sample", url=url, token="tv_wrong")
    for token in (("reader", "a long secret"), tokens["read"]):
        assert len(load("LOAD:WHO", source="sample", url=url, token=token)) == 9
        assert catalog(url=url, token=token)["full_symbol"].eq("LOAD:WHO").sum() == 1


def test_a_token_is_limited_to_its_scope(stack: Stack, closed: tuple[str, dict[str, str]]) -> None:
    url, tokens = closed
    wanted: dict[str, Any] = {"n_bars": 12, "fetch": "missing", "source": "sample", "url": url}

    with pytest.raises(ServiceFailed, match="do not go that far"):
        load("LOAD:SCOPE", **wanted, token=tokens["read"])
    assert len(load("LOAD:SCOPE", **wanted, token=tokens["fetch"])) == 11


def test_a_copy_with_the_etag_of_another_version_is_copied_again(
    stack: Stack, own_cache: Path
) -> None:
    bars = load("LOAD:TAG", n_bars=20, fetch="missing", source="sample", url=stack.url)
    (path,) = own_cache.rglob("LOAD_TAG_1h_20.parquet")
    # Another process put its older copy in place, after our tag was written.
    other = path.with_name("older")
    other.write_bytes(path.read_bytes()[:-1] + b"?")
    other.replace(path)

    again = load("LOAD:TAG", source="sample", url=stack.url)

    assert again.equals(bars)


def test_a_copy_that_the_disk_has_damaged_is_copied_again(stack: Stack, own_cache: Path) -> None:
    bars = load("LOAD:ROT", n_bars=20, fetch="missing", source="sample", url=stack.url)
    (path,) = own_cache.rglob("LOAD_ROT_1h_20.parquet")
    # Other bytes with the same inode, size and time: only the hash of the bars shows the difference.
    status = path.stat()
    content = bytearray(path.read_bytes())
    content[100:200] = bytes(100)
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    reader.forget()

    assert load("LOAD:ROT", source="sample", url=stack.url).equals(bars)


def test_a_cache_folder_that_cannot_be_written_is_named(stack: Stack, own_cache: Path) -> None:
    own_cache.write_text("in the way")

    with pytest.raises(ServiceFailed, match=r"cannot be kept in .*; XDG_CACHE_HOME names another"):
        load("LOAD:FULL", n_bars=20, fetch="missing", source="sample", url=stack.url)


def test_copies_can_be_loaded_while_the_service_is_away(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    bars = load("LOAD:AWAY", n_bars=20, fetch="missing", source="sample", url=stack.url)

    def fail(*args: object, **options: object) -> None:
        raise requests.ConnectionError

    monkeypatch.setattr(requests.Session, "request", fail)
    with pytest.raises(ServiceFailed, match="cannot be reached") as away:
        load("LOAD:AWAY", source="sample", url=stack.url)
    (folder,) = re.findall("folder='(.*)'", str(away.value))
    assert load("LOAD:AWAY", source="sample", folder=folder).equals(bars)


def test_another_server_is_not_taken_for_the_service(tmp_path: Path) -> None:
    (tmp_path / "api/tv").mkdir(parents=True)
    handler = partial(Quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever).start()
        url = f"http://127.0.0.1:{server.server_port}"
        for content in ("<html>", "[]", "{}"):
            (tmp_path / "api/tv/datasets").write_text(content)
            with pytest.raises(ServiceFailed, match="is it the service"):
                load("BINANCE:BTCUSDT", url=url)
        server.shutdown()


class Quiet(SimpleHTTPRequestHandler):
    """Serves files, and logs nothing."""

    def log_message(self, *args: object) -> None:
        pass


def test_a_folder_and_an_address_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match="leave folder or url out"):
        load("BINANCE:BTCUSDT", folder=tmp_path, url="http://127.0.0.1:8000")
    with pytest.raises(InvalidRequest, match="is no address of a service"):
        load("BINANCE:BTCUSDT", url="")
    with pytest.raises(InvalidRequest, match="leave folder or url out"):
        catalog(folder=tmp_path, url="http://127.0.0.1:8000")
