"""The conversation: recordings, every order of messages, and refused bars."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

import pytest

from datasets.bars import FetchedBars
from datasets.errors import (
    BadBars,
    DatasetsError,
    FeedProtocol,
    NoData,
    NotPermitted,
    RateLimited,
    SymbolNotFound,
    TimeframeUnavailable,
)
from datasets.tradingview import frames
from datasets.tradingview.conversation import SERIES_ID, SYMBOL_ID, Conversation
from tests.support.factories import a_key
from tests.support.recordings import csv_rows, messages_of_list, recording, spread_payloads
from tests.support.socket_feed import CHART, NOW, bar, completed, loading, update


def conversation(n_bars: int = 300, **changes: Any) -> Conversation:
    return Conversation(a_key(**{"n_bars": n_bars, "timeframe": "1"} | changes), CHART)


AAPL_DAYS: dict[str, Any] = {"exchange": "NASDAQ", "symbol": "AAPL", "timeframe": "1D"}


def ours(payload: dict[str, Any], series: str, symbol: str) -> dict[str, Any]:
    """Return a recorded message with our chart session."""
    text = (
        json.dumps(payload)
        .replace(f'"{series}"', f'"{SERIES_ID}"')
        .replace(f'"{symbol}"', f'"{SYMBOL_ID}"')
    )
    message: dict[str, Any] = json.loads(text)
    if message.get("p") and str(message["p"][0]).startswith("cs_"):
        message["p"][0] = CHART
    return message


def result_of(*messages: dict[str, Any], n_bars: int = 300) -> FetchedBars:
    talk = conversation(n_bars)
    for message in messages:
        talk.handle(message)
    return talk.result()


def times(fetched: FetchedBars) -> list[int]:
    return [int(row["time"].timestamp()) for row in fetched.table.to_pylist()]


# --- recordings --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["mkt-cli_history-ok.json", "mkt-cli_history-heartbeat-batched.json"]
)
def test_a_recorded_reply_is_read_whole(name: str) -> None:
    talk = conversation(**AAPL_DAYS)

    for message in messages_of_list(name):
        for payload in frames.split_message(message):
            if not payload.startswith(frames.HEARTBEAT):
                talk.handle(ours(frames.decode(payload), "sds_1", "sym_1"))

    fetched = talk.result()
    assert talk.is_complete
    assert fetched.table.num_rows == 5
    assert fetched.table.to_pylist()[0] | {"time": None} == {
        "time": None, "open": 306.0, "high": 307.49, "low": 304.3, "close": 305.93, "volume": 28229375.0,
    }  # fmt: skip
    assert fetched.last_bar_final is True
    assert (fetched.instrument.pro_name, fetched.instrument.full_name) == (
        "NASDAQ:AAPL",
        "BATS:AAPL",
    )
    assert fetched.instrument.timezone == "America/New_York"


def test_the_recorded_8000_bars_come_back_bit_for_bit() -> None:
    talk = conversation(8000, **AAPL_DAYS)

    for payload in spread_payloads("krazykoder_socket.timeseries_aapl_1d_8000.txt"):
        talk.handle(ours(payload, "sds_1", "sds_sym_1"))

    table = talk.result().table
    rows = [
        [
            row["time"].replace(tzinfo=UTC).timestamp(),
            *(row[name] for name in ("open", "high", "low", "close", "volume")),
        ]
        for row in table.to_pylist()
    ]
    assert rows == csv_rows("tv_aapl_1d_8000_splitadjusted.csv")


def test_the_recorded_delayed_feed_with_an_empty_first_update_is_read_whole() -> None:
    talk = conversation(exchange="HOSE", symbol="VCB", timeframe="1h")

    for payload in json.loads(recording("tradingview-rs_events_hose_vcb.json").read_text()):
        talk.handle(ours(payload, "sds_1", "sds_sym_2"))

    fetched = talk.result()
    assert fetched.table.num_rows == 300
    assert fetched.instrument.full_name == "HOSE_DLY:VCB"
    assert fetched.instrument.delay_s == 900
    assert [row[0] for row in csv_rows("tv_hose_vcb_1h_300.csv")] == times(fetched)


def test_the_recorded_unknown_symbol_raises_at_its_first_message() -> None:
    talk = conversation()
    payloads = [
        ours(frames.decode(payload), "sds_1", "sym_1")
        for message in messages_of_list("mkt-cli_history-error.json")
        for payload in frames.split_message(message)
    ]

    with pytest.raises(SymbolNotFound):
        for payload in payloads:
            talk.handle(payload)


# --- order, overlap, forming bar ---------------------------------------------------------


def test_several_updates_are_one_reply_and_the_later_bar_wins() -> None:
    fetched = result_of(
        update([]),
        update([bar(60), bar(120)]),
        update([bar(120, price=20.0), bar(180)]),
        {"m": "timescale_update", "p": [CHART, {}], "t": NOW},
        completed(),
    )

    assert times(fetched) == [60, 120, 180]
    assert fetched.table["close"].to_pylist() == [10.0, 20.0, 10.0]
    assert fetched.n_duplicates == 1


def test_older_bars_that_come_later_are_sorted_in() -> None:
    fetched = result_of(update([bar(180), bar(240)]), update([bar(60), bar(120)]), completed())

    assert times(fetched) == [60, 120, 180, 240]


def test_a_live_update_before_the_end_changes_the_last_bar_and_is_no_duplicate() -> None:
    fetched = result_of(
        update([bar(60), bar(120)]), update([bar(120, price=11.0)], method="du"), completed()
    )

    assert fetched.table["close"].to_pylist() == [10.0, 11.0]
    assert fetched.n_duplicates == 0


def test_a_longer_reply_is_cut_to_the_newest_bars() -> None:
    fetched = result_of(
        update([bar(60), bar(120)]), update([bar(180)], method="du"), completed(), n_bars=2
    )

    assert times(fetched) == [120, 180]


@pytest.mark.parametrize(
    ("close_time", "is_final"), [(NOW - 1, True), (NOW, False), (NOW + 60, False), (None, None)]
)
def test_the_last_bar_is_final_once_its_close_has_passed(
    close_time: int | None, is_final: bool | None
) -> None:
    status: dict[str, Any] = {} if close_time is None else {"lbs": {"bar_close_time": close_time}}

    assert result_of(update([bar(60)], **status), completed()).last_bar_final is is_final


def test_messages_with_older_bars_do_not_change_the_state_of_the_last_bar() -> None:
    fetched = result_of(
        update([bar(960)], lbs={"bar_close_time": NOW + 60}),
        update([bar(60)], lbs={"bar_close_time": 120}),
        completed(),
    )

    assert fetched.last_bar_final is False


def test_a_new_bar_without_a_closing_time_has_an_unknown_state() -> None:
    fetched = result_of(
        update([bar(900)], lbs={"bar_close_time": 960}), update([bar(960)], "du"), completed()
    )

    assert fetched.last_bar_final is None


def test_messages_of_other_sessions_and_series_are_ignored() -> None:
    talk = conversation()
    foreign = update([bar(1)])
    foreign["p"][0] = "cs_other"
    other_series = {
        "m": "timescale_update",
        "p": [CHART, {"st1": {"st": [{"i": 0, "v": [1, 2]}]}}],
        "t": NOW,
    }
    quote = {"m": "critical_error", "p": ["qs_x", "invalid_parameters", "quote_add_symbols"]}

    for message in (
        foreign,
        other_series,
        quote,
        {"m": "qsd", "p": ["qs_x", {}]},
        {"session_id": "x"},
        {"m": 1},
    ):
        talk.handle(message)
    talk.handle({"m": "series_completed", "p": ["cs_other", SERIES_ID, "streaming", "s1"]})
    talk.handle({"m": "series_completed", "p": [CHART, "sds_2", "streaming", "s1"]})

    assert not talk.is_complete
    with pytest.raises(NoData):
        talk.result()


def test_a_bar_without_volume_is_null_there_and_only_there() -> None:
    fetched = result_of(
        update(
            [
                bar(60),
                bar(120, volume=None),
                bar(180, volume=0.0),
                bar(240, volume=1e100),
                [*bar(300), 77.0],
            ]
        ),
        completed(),
    )

    assert fetched.table["volume"].to_pylist() == [5.0, None, 0.0, None, 5.0]


def test_negative_prices_and_times_before_1970_stay_as_they_are() -> None:
    fetched = result_of(update([bar(-631152000, price=-37.63), bar(0, price=1.2e-05)]), completed())

    assert times(fetched) == [-631152000, 0]
    assert fetched.table["close"].to_pylist() == [-37.63, 1.2e-05]


def test_older_bars_are_requested_until_no_new_bar_arrives() -> None:
    talk = conversation(5)
    talk.handle(update([bar(240), bar(300)]))
    talk.handle(completed())
    assert talk.n_missing() == 3

    talk.start_older()
    assert not talk.is_complete
    talk.handle(update([bar(180), bar(240)]))
    talk.handle(completed())
    assert talk.n_missing() == 2

    talk.start_older()
    talk.handle(loading())
    talk.handle(completed())
    assert talk.n_missing() == 0
    assert talk.result().table.num_rows == 3


def test_a_feed_that_repeats_its_oldest_bar_does_not_cause_endless_requests() -> None:
    talk = conversation(5)
    talk.handle(update([bar(240), bar(300)]))
    talk.handle(completed())

    talk.start_older()
    talk.handle(update([bar(240)]))
    talk.handle(completed())

    assert talk.n_missing() == 0


def test_a_bar_that_comes_twice_in_one_message_does_not_count_as_two() -> None:
    talk = conversation(3)
    talk.handle(update([bar(240), bar(300), bar(300)]))
    talk.handle(completed())

    assert talk.n_missing() == 1


def test_a_feed_that_never_ends_does_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.tradingview.rows._ROWS_TO_SPARE", 100)
    talk = conversation(20)
    for turn in range(50):
        talk.handle(update([bar(60 * index, price=turn) for index in range(turn, 20 + turn)]))
        assert sum(map(len, talk._rows._batches)) <= 4 * 20 + 100

    talk.handle(completed())
    fetched = talk.result()
    assert times(fetched) == [60 * index for index in range(49, 69)]
    assert set(fetched.table["close"].to_pylist()) == {49.0}
    assert fetched.n_duplicates == 50 * 20 - 69


def test_the_named_limit_ends_the_requests() -> None:
    talk = conversation(5)
    talk.handle(update([bar(60)]))
    talk.handle(completed(data_completed="limit"))

    assert talk.n_missing() == 0
    assert talk.result().is_limited


# --- errors ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "parameters", "error"),
    [
        ("symbol_error", [SYMBOL_ID, "invalid symbol"], SymbolNotFound),
        ("symbol_error", [SYMBOL_ID, "permission denied", "group", "economics_paid"], NotPermitted),
        ("symbol_error", [SYMBOL_ID, "permission denied", "symbol"], NotPermitted),
        ("symbol_error", [SYMBOL_ID, "something new"], FeedProtocol),
        ("symbol_error", [], FeedProtocol),
        ("series_error", [SERIES_ID, "s1", "seconds_not_entitled", "undefined"], NotPermitted),
        ("series_error", [SERIES_ID, "s1", "resolution_not_entitled", "undefined"], NotPermitted),
        ("series_error", [SERIES_ID, "s1", "custom_resolution", "undefined"], NotPermitted),
        (
            "series_error",
            [SERIES_ID, "s1", "unsupported resolution: INDEX:NDFI, 5", "h@h"],
            TimeframeUnavailable,
        ),
        ("series_error", [SERIES_ID, "s1", "resolve error", "h@h"], FeedProtocol),
        ("critical_error", ["invalid parameters", "method: create_series"], FeedProtocol),
    ],
)
def test_each_error_message_of_the_feed_has_a_named_error(
    method: str, parameters: list[Any], error: type[DatasetsError]
) -> None:
    with pytest.raises(error):
        conversation().handle({"m": method, "p": [CHART, *parameters], "t": NOW})


@pytest.mark.parametrize(
    "reason",
    ["banned", "banned by ip", "banned by user_id", "user connections limit reached",
     "Max state sessions reached", "max sessions rate reached"],
)  # fmt: skip
def test_each_refusal_of_too_many_calls_is_rate_limited(reason: str) -> None:
    with pytest.raises(RateLimited):
        conversation().handle({"m": "protocol_error", "p": [reason]})


def test_a_study_error_is_not_fatal() -> None:
    conversation().handle(
        {"m": "study_error", "p": [CHART, "st1", "s1_st1", "check study unexpected error", "h"]}
    )


@pytest.mark.parametrize(
    "numbers",
    [
        [60, None, 2, 1, 1, 5],
        [60, "1.5", 2, 1, 1, 5],
        [None, 1, 2, 1, 1, 5],
        [60, 1e100, 2, 1, 1, 5],
        [60, float("nan"), 2, 1, 1, 5],
        [60, float("inf"), 2, 1, 1, 5],
        [60, 1, 2, 1],
        [60, 1, 2, 1, 1, 5, 6, 7],
        [60.5, 1, 2, 1, 1, 5],
        [60, 1, 2, 1, 1, "5"],
        [60, True, 2, 1, 1, 5],
        [60, 10**400, 2, 1, 1, 5],
        [-62135596801, 1, 2, 1, 1, 5],
        [253402300800, 1, 2, 1, 1, 5],
        {"t": 60, "o": 1, "h": 2, "l": 1, "c": 1, "v": 5},
        "60,1,2,1,1,5",
        [],
        None,
    ],
)
def test_an_impossible_bar_is_refused_when_it_arrives(numbers: Any) -> None:
    with pytest.raises(BadBars):
        conversation().handle(update([bar(0), numbers]))
