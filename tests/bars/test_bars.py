"""Timeframes, keys and checks: pure functions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.bars import (
    BAR_SCHEMA,
    KEY_FIELDS,
    BarLength,
    DatasetKey,
    Timeframe,
    content_hash,
    count_inconsistent,
    make_table,
)
from datasets.errors import BadBars, InvalidRequest
from tests.support.factories import a_key, bars_table


@pytest.mark.parametrize(
    ("spelling", "timeframe"),
    [
        ("1", "1"), ("1m", "1"), ("5min", "5"), ("45m", "45"),
        ("60", "1h"), ("60m", "1h"), ("1H", "1h"), ("1h", "1h"), ("240", "4h"), ("4H", "4h"),
        ("D", "1D"), ("d", "1D"), ("1d", "1D"), ("1D", "1D"),
        ("W", "1W"), ("1w", "1W"), ("M", "1M"), ("1M", "1M"), ("1mo", "1M"), (" 1h ", "1h"),
    ],
)  # fmt: skip
def test_every_spelling_has_one_timeframe(spelling: str, timeframe: str) -> None:
    assert Timeframe.parse(spelling) == timeframe


def test_a_month_is_not_a_minute() -> None:
    assert Timeframe.parse("1M") is Timeframe.MONTH_1
    assert Timeframe.parse("1m") is Timeframe.MIN_1


@pytest.mark.parametrize("spelling", ["", "2", "1s", "7h", "5M", "1y", "3M", "one", "1.0"])
def test_an_unknown_timeframe_names_all_that_are_allowed(spelling: str) -> None:
    with pytest.raises(InvalidRequest, match="1, 3, 5, 15, 30, 45, 1h, 2h, 3h, 4h, 1D, 1W, 1M"):
        Timeframe.parse(spelling)


@pytest.mark.parametrize(
    ("spelling", "length", "base"),
    [
        ("7", "7", "1"), ("10m", "10", "5"), ("90", "90", "45"), ("75min", "75", "15"), ("63", "63", "3"),
        ("6h", "6h", "3h"), ("360", "6h", "3h"), ("5H", "5h", "1h"), ("12h", "12h", "4h"), ("23h", "23h", "1h"),
        ("2D", "2D", "1D"), ("3d", "3D", "1D"), ("2w", "2W", "1W"),
        ("3M", "3M", "1M"), ("6mo", "6M", "1M"), ("12MO", "12M", "1M"),
        ("60", "1h", "1h"), ("D", "1D", "1D"), ("1m", "1", "1"), ("1M", "1M", "1M"),
    ],
)  # fmt: skip
def test_every_length_has_one_spelling_and_a_base_that_is_fetched(
    spelling: str, length: str, base: str
) -> None:
    found = BarLength.parse(spelling)

    assert (found.value, found.base) == (length, base)
    assert BarLength.parse(length) == found
    assert (found.fetched is not None) == (length in list(Timeframe))


@pytest.mark.parametrize(
    "spelling", ["", "0", "07", "1440", "24h", "367D", "54W", "5M", "24M", "1s", "1y", "-1", "1.5h", "h"]
)  # fmt: skip
def test_a_length_that_is_none_names_what_is_allowed(spelling: str) -> None:
    with pytest.raises(InvalidRequest, match="such as 7, 6h, 2D, 2W, 3M"):
        BarLength.parse(spelling)


@pytest.mark.parametrize("timeframe", list(Timeframe))
def test_a_timeframe_is_a_length_that_is_fetched(timeframe: Timeframe) -> None:
    length = BarLength.parse(timeframe.value)

    assert length.fetched is length.base is timeframe
    assert length.minutes == timeframe.minutes


@pytest.mark.parametrize(
    ("symbol", "exchange", "full_symbol"),
    [
        ("BTCUSDT", "BINANCE", "BINANCE:BTCUSDT"),
        ("btcusdt", " binance ", "BINANCE:BTCUSDT"),
        ("BINANCE:BTCUSDT", "", "BINANCE:BTCUSDT"),
        ("BINANCE:BTCUSDT", "BINANCE", "BINANCE:BTCUSDT"),
        ("ES1!", "CME_MINI", "CME_MINI:ES1!"),
        ("BINANCE:BTCUSDT/BINANCE:ETHUSDT", "", "BINANCE:BTCUSDT/BINANCE:ETHUSDT"),
        ("(COINBASE:BTCUSD+BITSTAMP:BTCUSD)/2", "", "(COINBASE:BTCUSD+BITSTAMP:BTCUSD)/2"),
        ("M&M", "NSE", "NSE:M&M"),
        ('QUO"TE\\', "X", 'X:QUO"TE\\'),
    ],
)
def test_spellings_of_a_symbol_become_tradingviews_form(
    symbol: str, exchange: str, full_symbol: str
) -> None:
    assert (
        DatasetKey.parse(source="sample", symbol=symbol, exchange=exchange).full_symbol
        == full_symbol
    )


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"symbol": ""}, "symbol"),
        ({"symbol": "A B"}, "symbol"),
        ({"symbol": "A\u200b"}, "symbol"),
        ({"symbol": "A\x00"}, "symbol"),
        ({"exchange": ""}, "exchange"),
        ({"exchange": "../.."}, "exchange"),
        ({"symbol": "COINBASE:BTCUSD"}, "exchange"),
        ({"n_bars": 0}, "n_bars"),
        ({"session": "night"}, "session"),
        ({"adjustment": "some"}, "adjustment"),
        ({"timeframe": "2"}, "timeframe"),
    ],
)
def test_a_wrong_part_of_a_key_is_named(wrong: dict[str, Any], field: str) -> None:
    arguments: dict[str, Any] = {
        "source": "sample",
        "symbol": "BTCUSDT",
        "exchange": "BINANCE",
    } | wrong

    with pytest.raises(InvalidRequest) as caught:
        DatasetKey.parse(**arguments)

    assert list(caught.value.errors) == [field]


def test_the_plain_values_of_a_key_lead_back_to_it() -> None:
    key = a_key(exchange="CME_MINI", symbol="ES1!", session="extended", adjustment="none")

    assert DatasetKey.from_dict(key.as_dict() | {"full_symbol": "ignored"}) == key


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, None) for name in KEY_FIELDS),
        *((name, 1) for name in KEY_FIELDS if name != "n_bars"),
        ("source", "../elsewhere"),
        ("source", ""),
        ("exchange", "binance"),
        ("exchange", "A/B"),
        ("exchange", ""),
        ("symbol", "btcusdt"),
        ("symbol", "A B"),
        ("symbol", "E\u0301"),
        ("symbol", "A" * 129),
        ("timeframe", "60"),
        ("n_bars", 0),
        ("n_bars", True),
        ("n_bars", 2**31),
        ("n_bars", "300"),
        ("session", "REGULAR"),
        ("adjustment", "some"),
    ],
)
def test_a_wrong_plain_value_of_a_key_is_named(field: str, value: object) -> None:
    with pytest.raises(InvalidRequest) as caught:
        DatasetKey.from_dict(a_key().as_dict() | {field: value})

    assert list(caught.value.errors) == [field]


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [
        (0, float("nan"), "time"),
        (0, 1e18, "time"),
        (0, 60.5, "whole second"),
        (1, float("nan"), "price"),
        (2, float("inf"), "price"),
        (3, 1e100, "price"),
        (4, -1e100, "price"),
        (5, float("inf"), "volume"),
        (5, float("nan"), "volume"),
    ],
)
def test_what_cannot_be_a_bar_is_refused(column: int, value: float, named: str) -> None:
    rows = np.array([[0.0, 1, 1, 1, 1, 1], [60.0, 1, 1, 1, 1, 1]])
    rows[1, column] = value

    with pytest.raises(BadBars, match=named):
        make_table(rows, has_volume=np.array([True, True]))


@pytest.mark.parametrize("times", [[0.0, 0.0], [60.0, 0.0]])
def test_times_must_increase(times: list[float]) -> None:
    rows = np.array([[time, 1, 1, 1, 1, 1] for time in times])

    with pytest.raises(BadBars, match="increasing"):
        make_table(rows, has_volume=np.array([True, True]))


def test_a_table_has_the_contracts_columns_and_null_where_there_is_no_volume() -> None:
    rows = np.array([[-86400.0, 1, 2, 0.5, 1.5, 0], [0, 1.2e-05, 2e-05, 1e-05, 1.7e-05, 3]])

    table = make_table(rows, has_volume=np.array([False, True]))

    assert table.schema == BAR_SCHEMA
    assert table["volume"].to_pylist() == [None, 3.0]
    assert table["time"][0].as_py().isoformat() == "1969-12-31T00:00:00+00:00"
    assert table["low"].to_pylist() == [0.5, 1e-05]


def test_bars_whose_high_is_below_the_rest_are_counted_and_kept() -> None:
    good, high_low, low_high = [1, 2, 0.5, 1.5], [1, 0.9, 0.5, 1.0], [1, 2, 1.2, 1.5]
    rows = np.array(
        [[index * 60, *prices, 1] for index, prices in enumerate([good, high_low, low_high])]
    )

    table = make_table(rows.astype(float), has_volume=np.array([True] * 3))

    assert count_inconsistent(table) == 2
    assert table.num_rows == 3


@given(st.integers(0, 40), st.sampled_from(["time", "open", "high", "low", "close", "volume"]))
def test_another_value_anywhere_gives_another_hash(row: int, column: str) -> None:
    table = bars_table(41)
    changed = table.to_pydict()
    if column == "time":
        changed["time"] = [time.replace(year=time.year + 1) for time in changed["time"]]
    else:
        changed[column][row] += 0.25

    assert content_hash(type(table).from_pydict(changed, schema=BAR_SCHEMA)) != content_hash(table)


def test_no_volume_and_a_volume_of_zero_have_different_hashes() -> None:
    rows = np.array([[0.0, 1, 1, 1, 1, 0]])

    without = make_table(rows, has_volume=np.array([False]))
    zero = make_table(rows, has_volume=np.array([True]))

    assert content_hash(without) != content_hash(zero)
