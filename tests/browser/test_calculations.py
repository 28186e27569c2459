"""The page's pure modules, run in the browser and compared with pandas and zoneinfo."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest
from playwright.sync_api import Browser, Page

from datasets.bars import BarLength
from datasets.calendars import Calendar, bar_days

N = 400


@pytest.fixture(scope="module")
def modules(browser: Browser, site: str) -> Iterator[Page]:
    """The chart page, whose modules read the tables in it; one for all tests, which change nothing in it."""
    page = browser.new_page()
    thrown: list[str] = []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    page.goto(f"{site}/")
    yield page
    page.close()
    assert not thrown


@pytest.fixture
def call(modules: Page) -> Callable[..., Any]:
    """Return a function that calls an exported function of a module of the page."""

    def call_one(module: str, expression: str, argument: Any = None) -> Any:
        script = f"async (given) => {{ const m = await import('/static/js/{module}.js'); return {expression}; }}"
        return modules.evaluate(script, argument)

    return call_one


@pytest.fixture
def closes() -> pd.Series[float]:
    """Large prices that move by cents: a running sum would lose their deviation."""
    steps = np.random.default_rng(7).normal(size=N)
    return pd.Series(60_000 + np.cumsum(steps) * 0.01)


def same(found: list[float | None], expected: pd.Series[float]) -> None:
    values: npt.NDArray[np.float64] = np.array(found, dtype=float)
    np.testing.assert_allclose(values, expected.to_numpy(), rtol=1e-9, atol=1e-9)


def test_the_simple_average_equals_the_one_of_pandas(
    call: Callable[..., Any], closes: pd.Series[float]
) -> None:
    same(call("studies/indicators", "m.sma(given, 20)", closes.tolist()), closes.rolling(20).mean())


def test_bollinger_bands_are_two_deviations_wide(
    call: Callable[..., Any], closes: pd.Series[float]
) -> None:
    found = call("studies/indicators", "m.bollinger(given, 20, 2)", closes.tolist())

    window = closes.rolling(20)
    deviation = window.apply(lambda values: float(np.std(values)), raw=True)
    same(found["upper"], window.mean() + 2 * deviation)
    same(found["lower"], window.mean() - 2 * deviation)


def test_the_exponential_average_begins_with_the_simple_average(
    call: Callable[..., Any], closes: pd.Series[float]
) -> None:
    found = call("studies/indicators", "m.ema(given, 21)", closes.tolist())

    seeded = closes.copy()
    seeded[:20] = np.nan
    seeded[20] = closes[:21].mean()
    same(found, seeded.ewm(span=21, adjust=False).mean())


def test_the_strength_index_is_wilders(call: Callable[..., Any], closes: pd.Series[float]) -> None:
    found = call("studies/indicators", "m.rsi(given, 14)", closes.tolist())

    expected = pd.Series(np.nan, index=closes.index)
    change = closes.diff()
    gain, loss = change[1:15].clip(lower=0).mean(), -change[1:15].clip(upper=0).mean()
    for i in range(14, N):
        if i > 14:
            gain = (gain * 13 + max(change[i], 0)) / 14
            loss = (loss * 13 + max(-change[i], 0)) / 14
        expected[i] = 100 * gain / (gain + loss)
    same(found, expected)


def test_the_strength_index_of_constant_prices_is_50(call: Callable[..., Any]) -> None:
    assert call("studies/indicators", "m.rsi(given, 2)", [5.0] * 4) == [None, None, 50, 50]


def test_vwap_restarts_each_day_and_needs_volume(call: Callable[..., Any]) -> None:
    bars = {
        "day": [0, 0, 1, 1],
        "high": [3, 6, 9, 12], "low": [3, 6, 9, 12], "close": [3, 6, 9, 12],
        "volume": [1, 2, None, 5], "length": 4,
    }  # fmt: skip

    found = call("studies/indicators", "m.vwap(given)", bars)

    assert found == [3, 5, None, 12]


def test_an_anchored_average_begins_with_its_bar(
    call: Callable[..., Any], prices: dict[str, Any]
) -> None:
    volume = np.random.default_rng(9).integers(1, 1000, N).astype(float)
    volume[[0, 57, 120]] = np.nan
    units: list[float | None] = [None if np.isnan(value) else value for value in volume]

    found = call("studies/indicators", "m.anchoredVwap(given, 57)", prices | {"volume": units})

    frame = pd.DataFrame({name: prices[name] for name in ("high", "low", "close")})
    since = pd.Series(volume).fillna(0)[57:]
    money = (frame.mean(axis=1) * since).cumsum()
    traded = since.cumsum()
    same(found, (money / traded.where(traded > 0)).reindex(frame.index))
    assert found[56:58] == [None, None]


HOURS = {"session_hours": "0930-1600", "timezone": "America/New_York"}


def test_an_anchor_is_the_bar_that_contains_it_or_the_next_bar(call: Callable[..., Any]) -> None:
    hours = ["2024-07-01T13:30Z", "2024-07-01T14:30Z"]
    days = ["2024-07-01T13:30Z", "2024-07-02T13:30Z"]
    weeks = ["2024-07-01T13:30Z", "2024-07-08T13:30Z"]
    cases: list[tuple[str, list[str], str, int]] = [
        ("1h", hours, "2024-07-01T14:30Z", 1),
        ("1h", hours, "2024-07-01T14:29Z", 0),
        # A bar of a day contains each of its hours, and none of the evening after it.
        ("1D", days, "2024-07-01T18:30Z", 0),
        ("1D", days, "2024-07-01T21:00Z", 1),
        ("1W", weeks, "2024-07-04T00:00Z", 0),
        ("1W", weeks, "2024-07-06T12:00Z", 1),
        ("1D", days, "2024-07-01T13:29Z", -1),
        ("1D", days, "2024-07-02T20:00Z", 2),
    ]
    given = [
        [{"time": [seconds(text) for text in opened], "length": 2}, seconds(anchor), {"timeframe": timeframe, "instrument": HOURS}]
        for timeframe, opened, anchor, _ in cases
    ]  # fmt: skip

    found = call("studies/indicators", "given.map((one) => m.anchorIndex(...one))", given)

    assert found == [index for *_, index in cases]


def seconds(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp())


@pytest.fixture
def prices(closes: pd.Series[float]) -> dict[str, Any]:
    """Bars with gaps between one close and the next bar."""
    random = np.random.default_rng(8)
    high = closes + random.random(N) * 0.02
    low = closes - random.random(N) * 0.02
    return {"high": high.tolist(), "low": low.tolist(), "close": closes.tolist(), "length": N}


def test_macd_is_the_difference_of_two_exponential_averages(
    call: Callable[..., Any], closes: pd.Series[float]
) -> None:
    found = call("studies/indicators", "m.macd(given, 12, 26, 9)", closes.tolist())

    def average(values: pd.Series[float], span: int) -> pd.Series[float]:
        known = values.dropna()
        seeded = known.copy()
        seeded.iloc[: span - 1] = np.nan
        seeded.iloc[span - 1] = known.iloc[:span].mean()
        return seeded.ewm(span=span, adjust=False).mean().reindex(values.index)

    line = average(closes, 12) - average(closes, 26)
    signal = average(line, 9)
    same(found["line"], line)
    same(found["signal"], signal)
    same(found["histogram"], line - signal)
    assert int(np.argmax(signal.notna())) == 33


def test_the_average_true_range_is_wilders(
    call: Callable[..., Any], prices: dict[str, Any]
) -> None:
    found = call("studies/indicators", "m.averageTrueRange(given, 14)", prices)

    high, low, close = (pd.Series(prices[name]) for name in ("high", "low", "close"))
    before = close.shift(1)
    ranges = pd.concat([high - low, (high - before).abs(), (low - before).abs()], axis=1).max(
        axis=1
    )
    seeded = ranges.copy()
    seeded[:13] = np.nan
    seeded[13] = ranges[:14].mean()
    same(found, seeded.ewm(alpha=1 / 14, adjust=False).mean())


def test_the_stochastic_and_the_channel_follow_the_extremes_of_the_window(
    call: Callable[..., Any], prices: dict[str, Any]
) -> None:
    found = call("studies/indicators", "m.stochastic(given, 14, 3, 5)", prices)
    channel = call("studies/indicators", "m.donchian(given, 14)", prices)

    high, low, close = (pd.Series(prices[name]) for name in ("high", "low", "close"))
    upper, lower = high.rolling(14).max(), low.rolling(14).min()
    line = (100 * (close - lower) / (upper - lower)).rolling(3).mean()
    same(found["line"], line)
    same(found["signal"], line.rolling(5).mean())
    same(channel["upper"], upper)
    same(channel["lower"], lower)
    same(channel["middle"], (upper + lower) / 2)


def test_the_stochastic_of_constant_prices_is_50(call: Callable[..., Any]) -> None:
    bars = {"high": [5] * 4, "low": [5] * 4, "close": [5] * 4}

    assert call("studies/indicators", "m.stochastic(given, 3, 1, 1).line", bars) == [
        None,
        None,
        50,
        50,
    ]


def test_an_average_volume_needs_the_volume_of_each_bar(call: Callable[..., Any]) -> None:
    bars = {"volume": [2, 4, None, 6, 8], "hasVolume": True}

    (line,) = call("studies/indicators", "m.LINES.volume(given, [2])", bars)

    assert line["values"] == [None, 3, None, None, 7]


def test_older_bars_bring_their_trading_days(call: Callable[..., Any]) -> None:
    def bars(days: list[int]) -> dict[str, Any]:
        columns = ["time", "day", "open", "high", "low", "close", "volume"]
        return dict.fromkeys(columns, days) | {"length": len(days), "hasVolume": True}

    found = call("bars/bars", "m.joined(given[0], 2, given[1])", [bars([1, 2, 3]), bars([3, 4])])

    assert found["day"] == found["time"] == [1, 2, 3, 4]


def test_a_heikin_ashi_bar_continues_the_bar_before(
    call: Callable[..., Any], closes: pd.Series[float]
) -> None:
    opens = closes.shift(1, fill_value=closes[0])
    highs, lows = np.maximum(opens, closes) + 0.01, np.minimum(opens, closes) - 0.02
    bars = {"open": opens, "high": highs, "low": lows, "close": closes}

    found = call(
        "bars/bars",
        "m.heikinAshi(given)",
        {name: prices.tolist() for name, prices in bars.items()} | {"length": N},
    )

    expected_close = (opens + highs + lows + closes) / 4
    expected_open = [(opens[0] + closes[0]) / 2]
    for i in range(1, N):
        expected_open.append((expected_open[i - 1] + expected_close[i - 1]) / 2)
    same(found["close"], expected_close)
    same(found["open"], pd.Series(expected_open))
    same(found["high"], pd.concat([highs, expected_close, pd.Series(expected_open)], axis=1).max(axis=1))  # fmt: skip
    same(found["low"], pd.concat([lows, expected_close, pd.Series(expected_open)], axis=1).min(axis=1))  # fmt: skip


@pytest.mark.parametrize(
    ("instrument", "prices", "decimals", "step"),
    [
        ({"pricescale": 100, "minmov": 1}, [1.0], 2, 0.01),
        ({"pricescale": 100, "minmov": 25}, [1.0], 2, 0.25),
        ({"pricescale": 100_000_000, "minmov": 1}, [2e-05], 8, 1e-08),
        ({"pricescale": 32, "minmov": 1}, [110.03125], 5, 0.03125),
        ({"pricescale": 1, "minmov": 1}, [43000.0], 0, 1),
        (None, [2e-05, 2.134e-05], 8, 1e-08),
        (None, [0.1 + 0.2, 12.5], 2, 0.01),
        ({"pricescale": None}, [1.2345], 4, 0.0001),
    ],
)
def test_the_price_format_follows_the_instrument_or_the_bars(
    call: Callable[..., Any], instrument: Any, prices: list[float], decimals: int, step: float
) -> None:
    bars = {"close": prices, "high": prices, "low": prices}

    found = call("bars/bars", "m.priceStep(given[0], given[1])", [instrument, bars])

    assert found["decimals"] == decimals
    assert found["step"] == pytest.approx(step)


@pytest.mark.parametrize("zone", ["America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"])
def test_offsets_are_those_of_the_zone_around_every_change_of_the_clocks(
    call: Callable[..., Any], zone: str
) -> None:
    start = int(datetime(2024, 1, 1, tzinfo=UTC).timestamp())
    hours = list(range(start, start + 2 * 366 * 86400, 3 * 3600))

    found = call("shared/times", "given[1].map(m.zoneOffset(given[0]))", [zone, hours])

    expected = [
        int(datetime.fromtimestamp(hour, ZoneInfo(zone)).utcoffset().total_seconds())  # type: ignore[union-attr]
        for hour in hours
    ]
    assert found == expected


@pytest.mark.parametrize(
    ("zone", "session_hours", "opening", "label"),
    [
        ("America/New_York", "0930-1600", "2024-07-01T13:30Z", "Mon, Jul 1, 2024"),
        # FX opens on Sunday evening for Monday.
        ("America/New_York", "1700-1700", "2024-06-30T21:00Z", "Mon, Jul 1, 2024"),
        ("America/New_York", "1800-1700", "2024-01-01T23:00Z", "Tue, Jan 2, 2024"),
        ("Etc/UTC", "24x7", "2024-07-01T00:00Z", "Mon, Jul 1, 2024"),
        ("Asia/Kolkata", "0915-1530", "2024-07-01T03:45Z", "Mon, Jul 1, 2024"),
    ],
)
def test_a_daily_bar_carries_its_trading_day(
    call: Callable[..., Any], zone: str, session_hours: str, opening: str, label: str
) -> None:
    seconds = int(datetime.fromisoformat(opening).timestamp())
    times = np.array([seconds * 1000], dtype=np.int64)
    days = bar_days(times, Calendar(session_hours, zone), BarLength(1, "D")).dates
    bars = {"time": [seconds], "day": days.tolist()}

    found = call(
        "shared/times",
        "new m.Labels({ choice: 'utc', instrument: {}, isIntraday: false, bars: given }).full(given.time[0])",
        bars,
    )

    assert found == label


def test_days_begin_at_the_exchanges_midnight_and_gaps_are_within_days(
    call: Callable[..., Any],
) -> None:
    opening = int(datetime(2024, 7, 1, 13, 30, tzinfo=UTC).timestamp())
    hours = [0, 1, 2, 4, 24, 25]
    bars = {
        "time": [opening + hour * 3600 for hour in hours],
        "day": [hour // 24 for hour in hours],
        "length": len(hours),
    }

    found = call("chart/breaks", "m.findBreaks(given, { timeframe: '1h' })", bars)

    assert found == {"days": [4], "gaps": [3]}


def test_a_market_that_never_closes_can_have_gaps_between_days(call: Callable[..., Any]) -> None:
    hours = [22, 23, 26, 27]
    bars = {
        "time": [hour * 3600 for hour in hours],
        "day": [hour // 24 for hour in hours],
        "length": 4,
    }

    found = call(
        "chart/breaks", "m.findBreaks(given, { timeframe: '1h', isAlwaysOpen: true })", bars
    )

    assert found == {"days": [2], "gaps": [2]}


def test_a_band_reaches_from_the_bar_before_a_gap_to_the_bar_after_it(
    call: Callable[..., Any],
) -> None:
    hours = [0, 1, 4, 5]
    bars = {"time": [hour * 3600 for hour in hours], "length": 4}
    findings = [
        {"start": "1969-12-31T22:00:00Z", "end": "1970-01-01T00:00:00Z"},  # before the bars shown
        {"start": "1970-01-01T02:00:00Z", "end": "1970-01-01T04:00:00Z"},
        {"start": "1970-01-01T06:00:00Z", "end": "1970-01-01T07:00:00Z"},  # after them
    ]

    found = call(
        "chart/gaps",
        "m.placeGaps(given.findings, { bars: given.bars, timeframe: '1h' })",
        {"findings": findings, "bars": bars},
    )

    assert [(gap["left"], gap["right"], gap["start"]) for gap in found] == [(1, 2, 7200)]


def test_a_gap_within_a_made_bar_is_marked_on_that_bar(call: Callable[..., Any]) -> None:
    bars = {"time": [6 * hour * 3600 for hour in range(4)], "length": 4}
    findings = [
        {"start": "1970-01-01T06:00:00Z", "end": "1970-01-01T09:00:00Z"},
        {"start": "1970-01-01T21:00:00Z", "end": "1970-01-02T00:00:00Z"},
    ]

    found = call(
        "chart/gaps",
        "m.placeGaps(given.findings, { bars: given.bars, timeframe: '6h', madeFrom: '3h' })",
        {"findings": findings, "bars": bars},
    )

    assert [(gap["left"], gap["right"]) for gap in found] == [(0.5, 1.5), (2.5, 3.5)]


def test_the_nearest_gap_within_reach_is_found(call: Callable[..., Any]) -> None:
    gaps = [{"left": 1, "right": 2}, {"left": 6, "right": 7}]

    found = call(
        "chart/gaps", "[0, 2, 3, 5].map((at) => m.gapNear(given, at, 1)?.left ?? null)", gaps
    )

    assert found == [1, 1, 1, 6]
    assert call("chart/gaps", "m.gapNear(given, 0) ?? null", gaps) is None


def test_the_compared_close_is_the_newest_close_at_each_bar(call: Callable[..., Any]) -> None:
    other = {"time": [5, 10, 20], "close": [1.0, 2.0, 3.0], "length": 3}

    assert call("page/compare", "m.asOf([0, 5, 9, 10, 30], given)", other) == [None, 1, 1, 2, 3]


@pytest.mark.parametrize(
    ("typed", "exchange", "split"),
    [
        ("binance:btcusdt", "", ["BINANCE", "BTCUSDT"]),
        ("binance:btcusdt", "NASDAQ", ["BINANCE", "BTCUSDT"]),
        (" aapl ", "nasdaq", ["NASDAQ", "AAPL"]),
        ("(COINBASE:BTCUSD+BITSTAMP:BTCUSD)/2", "", ["", "(COINBASE:BTCUSD+BITSTAMP:BTCUSD)/2"]),
    ],
)
def test_a_symbol_may_name_its_exchange(
    call: Callable[..., Any], typed: str, exchange: str, split: list[str]
) -> None:
    assert call("symbols/names", "m.splitSymbol(given[0], given[1])", [typed, exchange]) == split


@pytest.mark.parametrize(
    "text",
    [
        "sma:20",
        "sma:20,bb:20:2.5:c7,rsi:14",
        "vwap:c3",
        "ema:9,sma:200",
        "avwap:1700000000",
        "ema:9:c12,ema:21:c1,ema:55:c4",
    ],
)
def test_studies_survive_the_address(call: Callable[..., Any], text: str) -> None:
    assert call("studies/studies", "m.formatStudies(m.parseStudies(given))", text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sma",
        "sma:1",
        "sma:20.5",
        "sma:x",
        "constructor:1",
        "bb:20",
        "rsi:1:2",
        "sma:20:c0",
        "sma:20:c13",
        "sma:c3",
        "avwap",
        "avwap:1.5",
        "avwap:9000000000",
    ],
)
def test_an_invalid_study_is_left_out(call: Callable[..., Any], text: str) -> None:
    assert call("studies/studies", "m.parseStudies(given)", text) == []


def test_studies_of_an_old_link_have_the_colours_of_the_menu_and_others_unused_ones(
    call: Callable[..., Any],
) -> None:
    text = "ema:9,sma:20,sma:50,ema:21,rsi:14,ema:55"
    thirteen = ",".join(f"ema:{period}" for period in range(2, 15))

    found = call(
        "studies/studies",
        "given.map((text) => m.parseStudies(text).map(({ color }) => color))",
        [text, thirteen],
    )

    assert found == [[3, 1, 2, 4, 6, 5], [3, 1, 2, *range(4, 13)]]


# Each kind of study, with parameters whose windows end long before the bars do.
STUDIES = {
    "sma": [20], "ema": [3], "bb": [20, 2], "vwap": [], "rsi": [3], "stochastic": [14, 2, 3], "macd": [2, 4, 3],
    "atr": [3], "donchian": [20], "volume": [20], "avwap": [100],
}  # fmt: skip
# Draws all bars but the last two, the last of them with another value, and then goes on to the end.
EXTEND = """
async ({ studies, bars }) => {
  const { extendLines } = await import("/static/js/studies/tails.js");
  const { studyLines } = await import("/static/js/studies/studies.js");
  const columns = Object.entries(bars).map(([name, column]) => [name, Array.isArray(column) ? column.slice(0, -2) : column]);
  const before = { ...Object.fromEntries(columns), length: bars.length - 2 };
  return Object.entries(studies).map(([kind, parameters]) => {
    const study = { kind, parameters };
    const lines = studyLines(study, before, { timeframe: "1h" });
    for (const { values } of lines) values[values.length - 1] += 1;
    const isDrawn = extendLines({ study, lines }, bars.length - 3, { bars, timeframe: "1h" });
    const whole = studyLines(study, bars, { timeframe: "1h" });
    return { isDrawn, found: lines.map(({ values }) => values), whole: whole.map(({ values }) => values) };
  });
}
"""


def test_live_bars_give_studies_the_values_of_a_whole_computation(
    modules: Page, prices: dict[str, Any]
) -> None:
    bars = prices | {
        "time": list(range(N)), "day": [i // 24 for i in range(N)], "volume": [1 + i % 7 for i in range(N)],
        "open": prices["close"], "hasVolume": True,
    }  # fmt: skip

    results = modules.evaluate(EXTEND, {"studies": STUDIES, "bars": bars})

    for result in results:
        assert result["isDrawn"]
        for found, whole in zip(result["found"], result["whole"], strict=True):
            same(found, pd.Series(whole, dtype=float))
