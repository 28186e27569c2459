"""Part 1: one fetch and three hundred, against stock tvDatafeed and the bare socket."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest import mock

from benchmarks.measurement import machine, medians_ms, publish, table
from tests.support.stacks import Feed

N_BARS = 5_000
ROUNDS = 40
MANY, MANY_BARS = 300, 1_000


def prepare(folder: Path, feed: Feed) -> None:
    """Set up the project in `folder`, with the sample feed in place of TradingView."""
    os.environ.update(
        feed.env,
        DJANGO_SETTINGS_MODULE="tvproject.settings",
        OUTPUTS_URL=str(folder),
        TV_SOURCE="sample",
        TV_RATE_PER_MINUTE="0",
        TV_MAX_BARS="50000",
    )
    import django
    from django.core.management import call_command

    django.setup()
    call_command("migrate", verbosity=0)


class Stock:
    """Stock tvDatafeed; only the address of its socket differs."""

    def __init__(self, ws_url: str) -> None:
        import websocket
        from tvDatafeed import Interval, TvDatafeed

        self.interval = Interval.in_1_hour
        self._patch = mock.patch(
            "tvDatafeed.main.create_connection",
            lambda url, headers, timeout: websocket.create_connection(ws_url, timeout=timeout),
        )
        self._patch.start()
        self._client = TvDatafeed()

    def fetch(self, symbol: str, exchange: str, n_bars: int) -> Any:
        bars = self._client.get_hist(symbol, exchange, self.interval, n_bars)
        assert len(bars) == n_bars
        # tvDatafeed leaves its sockets open; 300 open sockets would distort the times.
        self._client.ws.close()
        return bars


def bare_socket(ws_url: str, symbol: str, n_bars: int) -> int:
    """Read the same bytes with websocket-client alone; return their number."""
    import websocket

    from datasets.tradingview import frames
    from datasets.tradingview.client import GUEST_TOKEN

    ws = websocket.create_connection(ws_url, timeout=5, skip_utf8_validation=True)
    session = f"cs_{time.monotonic_ns()}"
    for method, parameters in [
        ("set_auth_token", [GUEST_TOKEN]),
        ("chart_create_session", [session, ""]),
        ("resolve_symbol", [session, "symbol_1", f'={{"symbol":"{symbol}","adjustment":"splits","session":"regular"}}']),
        ("create_series", [session, "s1", "s1", "symbol_1", "1H", n_bars]),
    ]:  # fmt: skip
        ws.send(frames.encode(method, parameters))
    n_bytes = 0
    while True:
        data = ws.recv_data()[1]
        n_bytes += len(data)
        if b"series_completed" in data:
            ws.close()
            return n_bytes


def our_fetch(n_bars: int, symbol: str = "BTCUSDT", exchange: str = "BINANCE") -> Any:
    """Run one whole fetch, up to the committed row and the durable file."""
    from datasets import fetching
    from datasets.bars import DatasetKey
    from datasets.fetching import fetch_queue

    key = DatasetKey.parse(source="sample", symbol=symbol, exchange=exchange, n_bars=n_bars)
    fetch, _ = fetch_queue.open_fetch(key, via="command")
    fetching.run_fetch(fetch.pk)


def require_stored(n_datasets: int, n_bars: int) -> None:
    """Fail unless every fetch has succeeded and the datasets have the expected number and size."""
    from datasets.models import Dataset, Fetch

    assert not Fetch.objects.exclude(state=Fetch.State.SUCCEEDED).exists()
    assert Dataset.objects.filter(n_rows=n_bars, n_bars=n_bars).count() == n_datasets


def drop_connection() -> None:
    """Close the kept connection, so that each fetch opens a new one, as the others do."""
    from datasets.fetching.feed_clients import feed_client

    feed_client().close()


def one_fetch(feed: Feed) -> str:
    stock = Stock(feed.ws_url)

    def ours_fresh() -> None:
        drop_connection()
        our_fetch(N_BARS)

    runs = {
        "bare socket": lambda: bare_socket(feed.ws_url, "BINANCE:BTCUSDT", N_BARS),
        "stock `get_hist`, stores nothing": lambda: stock.fetch("BTCUSDT", "BINANCE", N_BARS),
        "ours, to committed row and durable file": ours_fresh,
        # Follows the run above and uses its open connection.
        "ours, on the kept connection": lambda: our_fetch(N_BARS),
    }
    medians = medians_ms(runs, rounds=ROUNDS)
    drop_connection()
    require_stored(1, N_BARS)
    bare = medians["bare socket"]
    rows = [
        [name, f"{value:.1f}", f"{value - bare:+.1f}", f"{value / bare:.2f}"]
        for name, value in medians.items()
    ]
    return table(
        [
            f"one fetch of {N_BARS} bars, median of {ROUNDS}",
            "ms",
            "above the bare socket, ms",
            "ratio",
        ],
        rows,
    )


def many_fetches(feed: Feed) -> str:
    stock = Stock(feed.ws_url)
    symbols = [f"S{number}" for number in range(MANY)]
    for symbol in symbols:  # so that the feed has made all bars before either side is timed
        bare_socket(feed.ws_url, f"LOAD:{symbol}", MANY_BARS)

    def timed(fetch: Any, symbols: list[str]) -> float:
        started = time.perf_counter()
        for symbol in symbols:
            fetch(symbol)
        return time.perf_counter() - started

    # Alternating, so that a noisy machine disturbs both sides.
    ours = theirs = 0.0
    for start in range(0, MANY, MANY // 10):
        part = symbols[start : start + MANY // 10]
        ours += timed(lambda symbol: our_fetch(MANY_BARS, symbol, "LOAD"), part)
        theirs += timed(lambda symbol: stock.fetch(symbol, "LOAD", MANY_BARS), part)
    drop_connection()
    require_stored(MANY, MANY_BARS)
    n_bars = MANY * MANY_BARS
    rows = [
        [name, f"{seconds:.2f}", f"{n_bars / seconds:,.0f}", f"{theirs / seconds:.2f}"]
        for name, seconds in [
            ("stock, in a loop", theirs),
            ("ours, one worker, throttle off", ours),
        ]
    ]
    return table([f"{MANY} fetches of {MANY_BARS} bars", "s", "bars a second", "times stock"], rows)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # A fixed clock, so that every fetch receives the same bytes.
        feed = Feed(folder, "--now", "2026-01-05T12:00:30Z")
        try:
            prepare(folder / "outputs", feed)
            publish("Fetching", f"{machine()}\n\n{one_fetch(feed)}\n\n{many_fetches(feed)}")
        finally:
            feed.stop()


if __name__ == "__main__":
    main()
