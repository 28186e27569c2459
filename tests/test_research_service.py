"""Bars from a running service: copies that are kept, and fetches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from datasets.bars import Timeframe
from datasets.errors import SymbolNotFound
from datasets.research import DatasetNotFound, ServiceFailed, catalog, load, load_panel
from datasets.research import service as service_module
from samplefeed.bars import bars_for
from tests.processes import Feed, Stack, free_port

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


def test_what_is_missing_is_fetched_and_is_the_feeds_own_bars(stack: Stack) -> None:
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


def test_a_copy_is_kept_and_asked_about(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    load("LOAD:KEPT", n_bars=100, fetch="missing", source="sample", url=stack.url)
    statuses: list[int] = []
    send = service_module.Service._send

    def count(self: service_module.Service, method: str, url: str, **options: object) -> object:
        answer = send(self, method, url, **options)
        statuses.append(answer.status_code)
        return answer

    monkeypatch.setattr(service_module.Service, "_send", count)
    again = load("LOAD:KEPT", source="sample", url=stack.url)

    assert len(again) == 99
    # The catalog is asked, and then only whether the file is another.
    assert statuses == [200, 304]


def test_a_panel_is_brought_from_the_service(stack: Stack) -> None:
    names = [f"LOAD:P{number}" for number in range(5)]

    panel = load_panel(names, "1h", n_bars=50, fetch="missing", source="sample", url=stack.url)
    again = load_panel(names, "1h", source="sample", url=stack.url)

    assert panel.shape == (49, 5)
    assert panel.equals(again)
    assert catalog(url=stack.url)["full_symbol"].isin(names).sum() == 5


def test_what_is_stale_is_fetched_again(stack: Stack) -> None:
    first = load("LOAD:OLD", n_bars=50, fetch="missing", source="sample", url=stack.url)

    fresh = load("LOAD:OLD", n_bars=50, fetch="stale", source="sample", url=stack.url)
    assert fresh.attrs["fetched_at"] == first.attrs["fetched_at"]

    assert service_module._is_stale(Timeframe.HOUR_1, {"fetched_at": "2026-01-01T00:00:00+00:00"})


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


def test_sample_bars_are_never_taken_unasked(stack: Stack) -> None:
    with pytest.raises(DatasetNotFound, match="It serves the source 'sample'"):
        load("BINANCE:BTCUSDT", url=stack.url)
    with pytest.raises(ServiceFailed, match="fetches from the source 'sample'"):
        load("BINANCE:BTCUSDT", fetch="missing", url=stack.url)


def test_what_is_missing_is_named_with_what_is_close(stack: Stack) -> None:
    load("LOAD:NAMED", n_bars=10, fetch="missing", source="sample", url=stack.url)

    with pytest.raises(
        DatasetNotFound, match=r"Close: LOAD:NAMED 1h with 10 bars\. fetch='missing'"
    ):
        load("LOAD:NAMEX", source="sample", url=stack.url)


def test_no_service_is_said_in_one_sentence() -> None:
    url = f"http://127.0.0.1:{free_port()}"

    with pytest.raises(ServiceFailed, match=f"{url} cannot be reached"):
        load("BINANCE:BTCUSDT", url=url)
    with pytest.raises(ServiceFailed, match="answered 404|cannot be reached"):
        catalog(url=url)


def test_a_service_that_asks_who_one_is_is_told(stack: Stack, tmp_path: Path) -> None:
    os.environ.pop("STATE_DIR", None)
    locked = Stack(stack.folder, stack.feed, API_ACCESS="login")
    script = (
        "from django.contrib.auth.models import User;"
        "User.objects.create_user('reader', password='a long secret')"
    )
    locked.manage("shell", "-c", script)
    locked.start_web()
    try:
        load("LOAD:WHO", n_bars=10, fetch="missing", source="sample", url=stack.url)
        with pytest.raises(ServiceFailed):
            load("LOAD:WHO", source="sample", url=locked.url)
        bars = load("LOAD:WHO", source="sample", url=locked.url, token=("reader", "a long secret"))
    finally:
        locked.stop()

    assert len(bars) == 9
