"""The client on a socket with any input: it returns the bars as sent, or raises a named error."""

from __future__ import annotations

import logging
import math
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.bars import PRICE_COLUMNS, FetchedBars
from datasets.errors import (
    BadBars,
    DatasetsError,
    FeedClosed,
    FeedTimeout,
    FeedUnreachable,
    RateLimited,
)
from datasets.tradingview.client import FeedClient, _Driver
from datasets.tradingview.conversation import METHODS, Conversation
from datasets.tradingview.resolved_symbol import read_instrument
from tests.support.factories import a_key
from tests.support.socket_feed import (
    CHART,
    bar,
    completed,
    connected,
    framed,
    texts_sent,
    update,
    websocket_frame,
    websocket_frames,
)

PING = websocket_frame(b"are you there?", opcode=9)


def receive(
    stream: bytes,
    *,
    n_bars: int = 300,
    on_bars: Callable[[int], None] = lambda n_rows: None,
    sent: list[str] | None = None,
) -> FetchedBars:
    """Return the client's result for a feed that sends these bytes and closes."""
    with connected() as (connection, theirs):
        driver = _Driver(
            connection, a_key(n_bars=n_bars, timeframe="1"), "a token", on_bars, lambda message: None,
            is_signed_in=False,
        )  # fmt: skip
        driver.chart_session = driver._conversation.chart_session = CHART
        theirs.sendall(stream)
        theirs.shutdown(socket.SHUT_WR)
        try:
            return driver.fetch()
        finally:
            if sent is not None:
                sent.extend(texts_sent(theirs))


def stream_of(*messages: list[dict[str, Any] | str]) -> bytes:
    return b"".join(frame for message in messages for frame in websocket_frames(framed(message)))


def times(fetched: FetchedBars) -> list[int]:
    return [int(row["time"].timestamp()) for row in fetched.table.to_pylist()]


# --- any bars in any frames and any messages ----------------------------------------------

finite = st.floats(min_value=-1e12, max_value=1e12)
bar_lists = st.dictionaries(
    st.integers(-10_000, 100_000).map(lambda step: step * 60),
    st.tuples(finite, finite, finite, finite, st.none() | st.floats(min_value=0, max_value=1e15)),
    min_size=1,
    max_size=30,
)
# Messages that may come between the bars and change nothing.
ASIDES: list[dict[str, Any] | str] = [
    "~h~1",
    "~h~22",
    {"session_id": "0.1", "timestamp": 1, "protocol": "json"},
    {"m": "series_loading", "p": [CHART, "s1", "s1"]},
    {
        "m": "symbol_resolved",
        "p": [CHART, "symbol_1", {"description": "Ngân hàng 越南 😀 ~m~5~m~"}],
    },
    {"m": "symbol_resolved", "p": [CHART, "symbol_1", {"description": "series_completed"}]},
    {"m": "qsd", "p": ["qs_1", {"n": "X:Y", "s": "error", "errmsg": "no_such_symbol", "v": {}}]},
    {"m": "critical_error", "p": ["qs_1", "invalid_parameters", "quote_add_symbols"]},
    {"m": "study_error", "p": [CHART, "st1", "s1_st1", "check study unexpected error", "h@h"]},
    {"m": "timescale_update", "p": [CHART, {}]},
    {"m": "timescale_update", "p": [CHART, {"st1": {"st": [{"i": -1000100, "v": [1e100]}]}}]},
    {"m": "something_new", "p": [CHART, 1]},
    update([]),
    update([bar(1)], chart="cs_other"),
    completed(chart="cs_other"),
    completed(series="sds_2"),
]


@st.composite
def streams(draw: st.DrawFn) -> tuple[dict[int, Any], bytes]:
    """Bars, and a stream of bytes with them: in overlapping parts, in any order, between other messages."""
    bars = draw(bar_lists)
    ordered = sorted(bars)
    cuts = sorted(draw(st.sets(st.integers(0, len(ordered)), max_size=4)))
    overlap = draw(st.integers(0, 2))
    edges = zip([0, *cuts], [*cuts, len(ordered)], strict=True)
    pieces = draw(st.permutations([ordered[max(start - overlap, 0) : end] for start, end in edges]))
    payloads: list[dict[str, Any] | str] = []
    for number, piece in enumerate(pieces):
        later = {time for other in pieces[number + 1 :] for time in other}
        method = draw(st.sampled_from(["timescale_update", "du"]))
        payloads.append(update([_numbers(time, bars, time in later) for time in piece], method))
    for aside in draw(st.lists(st.sampled_from(ASIDES), max_size=8)):
        payloads.insert(draw(st.integers(0, len(payloads))), aside)
    payloads.append(completed())
    return bars, draw(_cut_up(payloads))


def _numbers(time: int, bars: dict[int, Any], is_old: bool) -> list[float]:
    """Return a bar's numbers, or wrong numbers that a later message corrects."""
    numbers = [number for number in bars[time] if number is not None]
    return [float(time), *([7.0] * len(numbers) if is_old else numbers)]


@st.composite
def _cut_up(draw: st.DrawFn, payloads: list[dict[str, Any] | str]) -> bytes:
    """Return the payloads split into any messages and fragments, with pings between them."""
    in_bytes = draw(st.booleans())
    cuts = sorted(draw(st.sets(st.integers(1, len(payloads)), max_size=4)))
    stream = b""
    for start, end in zip([0, *cuts], [*cuts, len(payloads)], strict=True):
        message = framed(payloads[start:end], in_bytes=in_bytes)
        if not message:
            continue
        for frame in websocket_frames(
            message, draw(st.sets(st.integers(0, len(message)), max_size=3))
        ):
            stream += frame + (PING if draw(st.booleans()) else b"")
    return stream


@given(streams())
def test_any_bars_cut_into_any_frames_and_messages_come_back_the_same(
    sent: tuple[dict[int, Any], bytes],
) -> None:
    bars, stream = sent

    fetched = receive(stream, n_bars=len(bars))

    columns = [
        fetched.table[name].to_pylist() for name in ("open", "high", "low", "close", "volume")
    ]
    assert times(fetched) == sorted(bars)
    assert list(zip(*columns, strict=True)) == [bars[time] for time in sorted(bars)]


@given(streams(), st.data())
def test_a_stream_that_ends_anywhere_before_its_end_is_an_error_and_never_a_part(
    sent: tuple[dict[int, Any], bytes], data: st.DataObject
) -> None:
    bars, stream = sent
    # The stream may end with a ping, which is not part of the reply.
    end = len(stream.removesuffix(PING)) - 1

    with pytest.raises(FeedClosed):
        receive(stream[: data.draw(st.integers(0, end))], n_bars=len(bars))


any_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.just(10**400)
    | st.floats() | st.text(max_size=5) | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=7) | st.dictionaries(st.sampled_from("vsip"), inner),
    max_leaves=12,
)  # fmt: skip


@given(
    st.sampled_from([*sorted(METHODS), "protocol_error"]),
    st.lists(any_json, max_size=5),
    any_json,
    any_json,
)
def test_a_message_may_hold_anything_and_is_accepted_or_refused_by_name(
    method: str, parameters: list[Any], bars: Any, status: Any
) -> None:
    talk = Conversation(a_key(), CHART)
    for message in (
        {"m": method, "p": [CHART, *parameters]},
        {"m": method, "p": [CHART, {"s1": {"s": bars, "lbs": status}}]},
        update([bars, bar(60)], lbs={"bar_close_time": status}),
    ):
        try:
            talk.handle(message)
            fetched = talk.result()
        except DatasetsError:
            continue
        # Accepted bars have finite prices.
        for row in fetched.table.to_pylist():
            assert all(math.isfinite(row[name]) for name in PRICE_COLUMNS)


@given(
    st.dictionaries(st.sampled_from(["pro_name", "description", "pricescale", "delay"]), any_json)
)
def test_any_facts_of_an_instrument_can_be_stored(facts: dict[str, Any]) -> None:
    stored = orjson.dumps(read_instrument(facts).as_dict())

    assert "\0" not in orjson.loads(stored)["description"]


# --- errors during a fetch ----------------------------------------------------------------


def test_our_own_error_during_a_reply_is_raised_and_a_part_is_never_returned(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """`get_hist` itself logs errors while it reads, and builds a table of an incomplete reply."""

    class Locked(Exception):
        pass

    def note(n_rows: int) -> None:
        raise Locked

    with caplog.at_level(logging.ERROR), pytest.raises(Locked):
        receive(stream_of([update([bar(60), bar(120)]), completed()]), on_bars=note)

    assert caplog.records == []


def test_two_fetches_of_one_second_have_different_times_in_whole_milliseconds() -> None:
    stream = stream_of([update([bar(60)]), completed(data_completed="limit")])

    moments = [receive(stream).fetched_at for _ in range(5)]

    assert all(moment.microsecond % 1000 == 0 for moment in moments)
    assert any(moment.microsecond for moment in moments)


def test_heartbeats_are_answered_with_the_identical_frame() -> None:
    sent: list[str] = []

    receive(
        stream_of(["~h~1"], ["~h~23", update([bar(60)]), completed(data_completed="limit")]),
        sent=sent,
    )

    assert [text for text in sent if "~h~" in text] == ["~m~4~m~~h~1", "~m~5~m~~h~23"]


def test_no_quotes_are_requested_and_the_symbol_is_resolved_once() -> None:
    sent: list[str] = []

    receive(stream_of([update([bar(60)]), completed(data_completed="limit")]), sent=sent)

    methods = [orjson.loads(text.split("~m~")[2])["m"] for text in sent]
    assert methods == [
        "set_auth_token", "chart_create_session", "resolve_symbol", "create_series", "switch_timezone",
        "chart_delete_session",
    ]  # fmt: skip


def test_the_last_message_of_a_closed_feed_is_read_even_if_sending_fails() -> None:
    stream = stream_of(["~h~1", {"m": "protocol_error", "p": ["banned by ip"]}])
    with connected() as (connection, theirs):
        driver = _Driver(
            connection, a_key(), "a token", lambda n: None, lambda m: None, is_signed_in=False
        )
        theirs.sendall(stream)
        theirs.close()

        with pytest.raises(RateLimited, match="banned by ip"):
            driver.fetch()


def test_the_error_of_a_bad_bar_contains_its_message() -> None:
    with pytest.raises(BadBars) as caught:
        receive(stream_of([update([bar(60), [120, None, 1, 1, 1, 1]])]))

    assert b"null" in caught.value.reply


# --- other servers at TradingView's address ------------------------------------------------


@contextmanager
def answering(
    answer: bytes, *, then_silent: bool = False, requests: list[bytes] | None = None
) -> Iterator[str]:
    """Yield the address of a server that gives one answer to any request, kept in `requests`."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        asked_to_end = threading.Event()

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                request = client.recv(65536)
                if requests is not None:
                    requests.append(request)
                client.sendall(answer)
                if then_silent:
                    asked_to_end.wait(10)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{listener.getsockname()[1]}/"
        finally:
            asked_to_end.set()
            thread.join()


def fetch_from(address: str) -> None:
    FeedClient(address, timeout_s=0.3, deadline_s=1).fetch_bars(a_key())


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", FeedUnreachable),
        (b"HTTP/1.1 302 Found\r\n\r\n", FeedUnreachable),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", FeedUnreachable),
        (b"HTTP/1.1 429 Too Many\r\nContent-Length: -5\r\n\r\n", RateLimited),
        (b"HTTP/1.1 500 X\r\nContent-Length: many\r\n\r\n", FeedUnreachable),
        (b"HTTP/1.1 500 X\r\nContent-Length: 99999999999999\r\n\r\n", FeedUnreachable),
        (b"HTTP/1.1 429 Too Many\r\nContent-Length: 100\r\n\r\nwait", RateLimited),
        (b"HTTP/1.1 101 X\r\nUpgrade: webso", FeedClosed),
        (b"HTTP/1.1 soon\r\n\r\n", FeedUnreachable),
        (b"HTTP/1.1\r\nno colon\r\n\r\n", FeedUnreachable),
        (b"HTTP/1.1 \xff\xfe OK\r\n\r\n", FeedUnreachable),
        (b"HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: \xff\r\n\r\n", FeedUnreachable),
        (b"SSH-2.0-OpenSSH_9.2\r\n", FeedUnreachable),
        (b"\x00" * 100, FeedClosed),
        (b"", FeedClosed),
    ],
)  # fmt: skip
def test_each_other_answer_to_the_upgrade_has_a_named_error(
    answer: bytes, error: type[DatasetsError]
) -> None:
    with answering(answer) as address, pytest.raises(error):
        fetch_from(f"ws://{address}")


def test_a_host_that_is_silent_where_tls_is_expected_is_a_timeout() -> None:
    with (
        answering(b"", then_silent=True) as address,
        pytest.raises(FeedTimeout, match="sends nothing for 0.3 s"),
    ):
        fetch_from(f"wss://{address}")


# --- through a proxy -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (b"HTTP/1.1 200 Connection established\r\n\r\n", FeedClosed, "closed the connection"),
        (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", FeedUnreachable, "407"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", FeedUnreachable, "cannot be reached"),
    ],
)
def test_a_proxy_of_the_environment_is_asked_for_a_tunnel(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, error: type[DatasetsError], text: str
) -> None:
    requests: list[bytes] = []
    with answering(answer, requests=requests) as address:
        monkeypatch.setenv("http_proxy", f"http://ada:love%20lace@{address}")
        monkeypatch.setenv("no_proxy", "")
        with pytest.raises(error, match=text):
            fetch_from("ws://feed.example/socket")

    assert requests[0].startswith(b"CONNECT feed.example:80 HTTP/1.")
    assert b"Proxy-Authorization: Basic YWRhOmxvdmUgbGFjZQ==\r\n" in requests[0]


def test_a_silent_proxy_makes_the_feed_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(b"", then_silent=True) as address:
        monkeypatch.setenv("http_proxy", f"http://{address}")
        monkeypatch.setenv("no_proxy", "")
        with pytest.raises(FeedUnreachable, match="does not answer"):
            fetch_from("ws://feed.example/socket")


def test_a_host_in_no_proxy_is_reached_without_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    with answering(b"HTTP/1.1 429 Too Many\r\n\r\n") as address, pytest.raises(RateLimited):
        fetch_from(f"ws://{address}")
