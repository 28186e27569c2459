"""Every fault of the feed, through the real client over a real socket."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from datasets import errors
from datasets.bars import DatasetKey, FetchedBars
from datasets.errors import FetchError
from datasets.tradingview.auth_token import Credentials
from datasets.tradingview.client import FeedClient
from datasets.tradingview.sign_in import sign_in
from tests.support.factories import a_key
from tests.support.stacks import Feed, free_port, wait_until

# Short limits keep the tests short.
SILENCE_S, DEADLINE_S = 1.0, 3.0


@pytest.fixture
def client(clean_feed: Feed) -> Iterator[FeedClient]:
    made = FeedClient(clean_feed.ws_url, timeout_s=SILENCE_S, deadline_s=DEADLINE_S)
    yield made
    made.close()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture(autouse=True, scope="module")
def frozen_objects() -> Iterator[None]:
    """Keep what other tests have left out of each collection of garbage, which takes 0.5 s then."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def nothing_is_left(clean_feed: Feed) -> Iterator[None]:
    """After each test no socket, thread or connection is left."""
    gc.collect()
    before = descriptors(), threading.active_count()
    yield
    gc.collect()
    wait_until(lambda: threading.active_count() <= before[1], what="the end of the threads")
    assert descriptors() <= before[0]
    wait_until(
        lambda: clean_feed.stats()["connections_open"] == 0, what="the end of the connections"
    )


def fetch(client: FeedClient, **changes: Any) -> FetchedBars:
    return client.fetch_bars(a_key(**changes))


# fault, code, whether the fetch is retried, longest time in seconds
FAULTS = [
    ("upgrade_429", "rate_limited", True, 0.4),
    ("upgrade_403", "rate_limited", True, 0.4),
    ("upgrade_429_unfinished", "rate_limited", True, SILENCE_S + 0.4),
    ("upgrade_502", "feed_unreachable", True, 0.4),
    ("silent_upgrade", "feed_timeout", True, SILENCE_S + 0.4),
    ("silent", "feed_timeout", True, SILENCE_S + 0.4),
    ("heartbeats_only", "feed_timeout", True, SILENCE_S + 0.4),
    ("stall_half_way", "feed_timeout", True, SILENCE_S + 0.4),
    ("drip", "feed_timeout", True, SILENCE_S + 0.4),
    ("drip_bytes", "feed_timeout", True, SILENCE_S + 0.4),
    ("endless", "feed_timeout", True, DEADLINE_S + 0.4),
    ("close_before_completed", "feed_closed", True, 0.4),
    ("close_mid_frame", "feed_closed", True, 0.4),
    ("reset", "feed_closed", True, 0.4),
    ("truncated_json_close", "feed_protocol", False, 0.4),
    ("invalid_symbol", "symbol_not_found", False, 0.4),
    ("permission_denied", "not_permitted", False, 0.4),
    ("seconds_not_entitled", "not_permitted", False, 0.4),
    ("resolution_not_entitled", "not_permitted", False, 0.4),
    ("custom_resolution", "not_permitted", False, 0.4),
    ("unsupported_resolution", "timeframe_unavailable", False, 0.4),
    ("critical_error", "feed_protocol", False, 0.4),
    ("bad_auth_token", "auth_expired", False, 0.4),
    ("banned", "rate_limited", True, 0.4),
    ("banned_by_user_id", "rate_limited", True, 0.4),
    ("banned_by_ip", "rate_limited", True, 0.4),
    ("user_connections_limit", "rate_limited", True, 0.4),
    ("max_state_sessions", "rate_limited", True, 0.4),
    ("max_sessions_rate", "rate_limited", True, 0.4),
    ("wrong_data", "feed_protocol", False, 0.4),
    ("no_bars", "no_data", False, 0.4),
    ("length_too_long", "feed_protocol", False, 0.4),
    ("length_too_short", "feed_protocol", False, 0.4),
    ("not_json", "feed_protocol", False, 0.4),
    ("binary_message", "feed_protocol", False, 0.4),
    ("invalid_utf8", "feed_protocol", False, 0.4),
    ("huge_message", "feed_protocol", False, 1.5),
    ("nan_price", "bad_bars", False, 0.4),
    ("infinite_price", "bad_bars", False, 0.4),
    ("sentinel_price", "bad_bars", False, 0.4),
    ("null_price", "bad_bars", False, 0.4),
    ("string_price", "bad_bars", False, 0.4),
    ("missing_price", "bad_bars", False, 0.4),
    ("fractional_time", "bad_bars", False, 0.4),
]


@pytest.mark.parametrize(
    ("name", "code", "retryable", "seconds"), FAULTS, ids=[fault[0] for fault in FAULTS]
)
def test_each_fault_has_its_named_error_in_time(
    client: FeedClient,
    clean_feed: Feed,
    record_property: Any,
    name: str,
    code: str,
    retryable: bool,
    seconds: float,
) -> None:
    clean_feed.arm(name)
    # The feed computes the first bars of a symbol on request; do this before the clock starts.
    started = time.monotonic()

    with pytest.raises(FetchError) as caught:
        fetch(client)

    taken = time.monotonic() - started
    record_property("seconds", round(taken, 3))
    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    # Twice the time: a busy machine is slow, and a hang takes far longer.
    assert taken < 2 * seconds + 0.5
    if caught.value.code == "feed_timeout":
        assert taken > seconds - 0.5
    assert len(str(caught.value)) > 30


# Shorter pauses than the defaults of these faults.
ARGUMENTS = {"hello_late": {"seconds": 0.3}, "slow_good": {"seconds": 0.1}}


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="needs Linux' /proc")
def test_a_huge_message_is_not_loaded_into_memory(client: FeedClient, clean_feed: Feed) -> None:
    clean_feed.arm("huge_message")
    before = _reset_peak_kb()

    with pytest.raises(errors.FeedProtocol, match="more than 2.2 MB"):
        fetch(client)

    assert _peak_kb() - before < 64 * 1024


def _reset_peak_kb() -> int:
    Path("/proc/self/clear_refs").write_text("5")
    return _peak_kb()


def _peak_kb() -> int:
    """Return the peak memory of this process since the last reset."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))


@pytest.mark.parametrize(
    "name",
    [
        "empty_first", "empty_last", "several_updates", "du_before_completed", "heartbeat_in_data", "study_frames",
        "other_sessions", "seven_numbers", "byte_length", "utf16_length", "critical_error_quote", "slow_good",
        "unordered", "hello_late",
    ],
)  # fmt: skip
def test_unusual_valid_answers_are_returned_as_sent(clean_feed: Feed, name: str) -> None:
    client = FeedClient(clean_feed.ws_url, timeout_s=5, deadline_s=10)
    # Daily bars: minute bars would change between the two fetches.
    good = client.fetch_bars(a_key(timeframe="1D"))
    client.close()
    clean_feed.arm(name, times=1, **ARGUMENTS.get(name, {}))

    fetched = client.fetch_bars(a_key(timeframe="1D"))
    client.close()

    assert fetched.table.slice(0, 299).equals(good.table.slice(0, 299))
    assert fetched.table.num_rows == 300


def test_a_missing_volume_is_null_there_and_only_there(
    client: FeedClient, clean_feed: Feed
) -> None:
    clean_feed.arm("mixed_volume")

    volumes = fetch(client).table["volume"].to_pylist()
    client.close()

    n_missing = sum(volume is None for volume in volumes)
    assert 90 <= n_missing <= 110
    assert all(volume is None or volume > 0 for volume in volumes)


def test_the_sentinel_is_no_volume(client: FeedClient, clean_feed: Feed) -> None:
    clean_feed.arm("sentinel_volume")

    assert fetch(client).table["volume"].null_count == 1
    client.close()


def test_inconsistent_bars_are_kept_as_sent_and_counted(
    client: FeedClient, clean_feed: Feed
) -> None:
    from datasets.bars import count_inconsistent

    clean_feed.arm("inconsistent_bars")

    table = fetch(client).table
    client.close()

    assert (table.num_rows, count_inconsistent(table)) == (300, 1)


def test_negative_prices_and_times_before_1970_arrive(client: FeedClient, clean_feed: Feed) -> None:
    clean_feed.arm("negative_prices", times=1)
    assert (fetch(client).table["high"].to_numpy() < 0).all()
    client.close()

    clean_feed.arm("before_1970", times=1)
    assert fetch(client).table["time"][0].as_py().year < 1970
    client.close()


def test_bars_of_a_short_history_are_marked_as_limited(
    client: FeedClient, clean_feed: Feed
) -> None:
    clean_feed.arm("short_history")

    fetched = fetch(client)
    client.close()

    assert fetched.is_limited
    assert fetched.table.num_rows == 150


def test_without_its_closing_time_the_last_bar_has_an_unknown_state(
    client: FeedClient, clean_feed: Feed
) -> None:
    clean_feed.arm("no_lbs")

    assert fetch(client).last_bar_final is None
    client.close()


def test_a_forming_bar_is_not_final(clean_feed: Feed) -> None:
    client = FeedClient(clean_feed.ws_url, timeout_s=5, deadline_s=10)

    forming = client.fetch_bars(a_key(timeframe="1M", n_bars=3))
    client.close()

    assert forming.last_bar_final is False


def test_the_instrument_of_a_delayed_feed_has_its_delay(clean_feed: Feed) -> None:
    client = FeedClient(clean_feed.ws_url, timeout_s=5, deadline_s=10)
    fetched = client.fetch_bars(a_key(exchange="HOSE", symbol="VCB", n_bars=10))
    client.close()

    assert fetched.instrument.delay_s == 900
    assert (fetched.instrument.pro_name, fetched.instrument.full_name) == (
        "HOSE:VCB",
        "HOSE_DLY:VCB",
    )


def test_the_instrument_names_the_feed_of_the_prices(clean_feed: Feed) -> None:
    client = FeedClient(clean_feed.ws_url, timeout_s=5, deadline_s=10)
    instrument = client.fetch_bars(a_key(exchange="NASDAQ", symbol="AAPL", n_bars=10)).instrument
    client.close()

    assert (instrument.pro_name, instrument.full_name) == ("NASDAQ:AAPL", "BATS:AAPL")


def test_a_refused_connection_is_unreachable() -> None:
    client = FeedClient(
        f"ws://127.0.0.1:{free_port()}/socket.io/websocket", timeout_s=1, deadline_s=2
    )

    with pytest.raises(errors.FeedUnreachable, match="refused"):
        client.fetch_bars(a_key())


def test_an_unknown_host_is_unreachable() -> None:
    client = FeedClient("ws://no-such-host.invalid/socket.io/websocket", timeout_s=5, deadline_s=5)

    with pytest.raises(errors.FeedUnreachable, match="no-such-host.invalid cannot be reached"):
        client.fetch_bars(a_key())


def test_a_server_without_websocket_is_unreachable(clean_feed: Feed) -> None:
    client = FeedClient(clean_feed.site_url.replace("http", "ws"), timeout_s=2, deadline_s=2)

    with pytest.raises(errors.FeedUnreachable):
        client.fetch_bars(a_key())


def test_plain_text_where_tls_is_expected_is_unreachable(clean_feed: Feed) -> None:
    client = FeedClient(clean_feed.ws_url.replace("ws://", "wss://"), timeout_s=2, deadline_s=2)

    with pytest.raises(errors.FeedUnreachable, match="TLS"):
        client.fetch_bars(a_key())


def test_a_host_with_an_untrusted_certificate_is_unreachable(tmp_path: Path) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-keyout", key, "-out", certificate], check=True, capture_output=True,
    )  # fmt: skip
    feed = Feed(tmp_path, "--tls", str(certificate), str(key))
    client = FeedClient(feed.ws_url, timeout_s=2, deadline_s=2)

    try:
        with pytest.raises(errors.FeedUnreachable, match="TLS"):
            client.fetch_bars(a_key())
    finally:
        feed.stop()


def test_a_host_that_accepts_no_connection_fails_in_time() -> None:
    # A full backlog: the system answers no further connection.
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(listener.getsockname())
        client = FeedClient(
            f"ws://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=0.5, deadline_s=1
        )
        started = time.monotonic()
        try:
            with pytest.raises((errors.FeedUnreachable, errors.FeedTimeout)):
                client.fetch_bars(a_key())
        finally:
            for filler in fillers:
                filler.close()

    assert time.monotonic() - started < 3


# --- connections -------------------------------------------------------------------------


def test_the_connection_is_kept_for_the_next_fetch(client: FeedClient, clean_feed: Feed) -> None:
    for n_bars in (10, 20, 30):
        assert fetch(client, n_bars=n_bars).table.num_rows == n_bars

    stats = clean_feed.stats()
    client.close()
    assert (stats["connections_opened"], stats["conversations"], len(stats["tokens"])) == (1, 3, 1)


def test_an_idle_connection_is_closed_after_a_while(
    client: FeedClient, clean_feed: Feed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.tradingview.idle_connection.KEEP_IDLE_S", 0.05)

    fetch(client)

    wait_until(lambda: clean_feed.stats()["connections_open"] == 0, what="the closing")


def test_a_kept_connection_that_the_feed_has_dropped_is_replaced(tmp_path: Path) -> None:
    feed = Feed(tmp_path)
    client = FeedClient(feed.ws_url, timeout_s=2, deadline_s=4)
    fetch(client)
    # Close the idle connection, as the feed does with a silent client.
    idle = client.idle.connection
    assert idle is not None
    idle._sock._sock.shutdown(socket.SHUT_RDWR)

    assert fetch(client).table.num_rows == 300

    client.close()
    assert feed.stats()["connections_opened"] == 2
    feed.stop()


def test_another_auth_token_gets_its_own_connection(client: FeedClient, clean_feed: Feed) -> None:
    token = sign_in(Credentials(username="ada", password="x"), clean_feed.site_url).value
    fetch(client)
    client.fetch_bars(a_key(), auth_token=token)

    assert clean_feed.stats()["tokens"] == ["unauthorized_user_token", token]
    client.close()


def test_a_fault_does_not_affect_the_next_fetch(client: FeedClient, clean_feed: Feed) -> None:
    clean_feed.arm("invalid_symbol", times=1)
    with pytest.raises(errors.SymbolNotFound):
        fetch(client)

    assert fetch(client).table.num_rows == 300
    assert clean_feed.stats()["connections_opened"] == 2
    client.close()


# --- the requests ------------------------------------------------------------------------


def test_we_send_the_headers_of_tradingviews_page_and_request_no_quotes(
    client: FeedClient, clean_feed: Feed
) -> None:
    fetch(client)
    client.close()

    stats = clean_feed.stats()
    ((origin, agent),) = stats["visitors"]
    assert origin == "https://www.tradingview.com"
    assert agent.startswith("Mozilla/5.0")
    assert [name for name in stats["messages"] if name.startswith("quote_")] == []


def test_a_slow_good_answer_arrives_because_heartbeats_are_answered(tmp_path: Path) -> None:
    # The feed closes a connection after 0.35 s without an answer; its bars take longer.
    feed = Feed(tmp_path, "--heartbeat-seconds", "0.1")
    client = FeedClient(feed.ws_url, timeout_s=5, deadline_s=10)
    feed.arm("slow_good", seconds=0.15)

    assert fetch(client).table.num_rows == 300

    client.close()
    assert feed.stats()["heartbeats_answered"] >= 4
    feed.stop()


@pytest.mark.parametrize(
    "full_symbol",
    ["BINANCE:BTCUSDT.P", "CME_MINI:ES1!", "NYSE:BRK.B", "NSE:M&M", "BINANCE:BTCUSDT/BINANCE:ETHUSDT",
     "(COINBASE:BTCUSD+BITSTAMP:BTCUSD)/2", 'X:QUO"TE', "X:BACK\\SLASH", 'X:A","SYMBOL":"B'],
)  # fmt: skip
@pytest.mark.parametrize(
    ("session", "adjustment"), [("regular", "splits"), ("extended", "dividends")]
)
def test_symbol_session_and_adjustment_reach_the_wire_as_they_are(
    clean_feed: Feed, full_symbol: str, session: str, adjustment: str
) -> None:
    client = FeedClient(clean_feed.ws_url, timeout_s=10, deadline_s=20)
    key = DatasetKey.parse(
        source="sample", symbol=full_symbol, n_bars=5, session=session, adjustment=adjustment
    )
    try:
        client.fetch_bars(key)
    except errors.SymbolNotFound:
        assert full_symbol.startswith("X:")
    finally:
        client.close()

    assert clean_feed.stats()["resolve_payloads"][-1] == {
        "symbol": full_symbol, "session": session, "adjustment": adjustment,
    }  # fmt: skip


# --- deep history ------------------------------------------------------------------------


def test_forty_thousand_bars_come_in_several_replies_as_one_dataset(tmp_path: Path) -> None:
    feed = Feed(tmp_path, "--first-reply", "15000")
    client = FeedClient(feed.ws_url, timeout_s=20, deadline_s=60)
    seen: list[int] = []

    fetched = client.fetch_bars(a_key(timeframe="1", n_bars=40_000), on_bars=seen.append)
    client.close()

    times = fetched.table["time"].to_numpy()
    assert fetched.table.num_rows == 40_000
    assert ((times[1:] - times[:-1]).astype("timedelta64[s]").astype(int) == 60).all()
    assert seen[0] < 40_000 <= seen[-1]
    assert feed.stats()["request_more_data"] >= 1
    feed.stop()


def test_the_plans_window_ends_the_requests(tmp_path: Path) -> None:
    feed = Feed(tmp_path, "--plan-window", "500")
    client = FeedClient(feed.ws_url, timeout_s=5, deadline_s=20)

    fetched = client.fetch_bars(a_key(n_bars=2000))
    client.close()

    assert fetched.table.num_rows == 500
    feed.stop()


def test_the_beginning_of_history_ends_the_requests(clean_feed: Feed) -> None:
    client = FeedClient(clean_feed.ws_url, timeout_s=5, deadline_s=20)

    fetched = client.fetch_bars(a_key(timeframe="1M", n_bars=2000))
    client.close()

    assert 100 < fetched.table.num_rows < 200
    assert fetched.table["time"][0].as_py().isoformat() == "2017-08-17T00:00:00+00:00"
    assert os.environ.get("TZ") == "UTC"
