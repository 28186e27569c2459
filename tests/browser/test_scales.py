"""The numbers at the chart's axes are those of the bars, with every chart type, scale and study."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from playwright.sync_api import Page, expect

from tests.support.chart_axes import RECORD, Axis, read_axes
from tests.support.chart_reader import bars_reply, expect_bars, pane_legend

TYPES = ["candles", "bars", "line", "area", "heikin-ashi"]
SCALES = ["linear", "log", "percent"]
STUDIES = ["rsi:14", "", "sma:20,bb:20:2,rsi:14"]
SERIES = "symbol=NASDAQ:AAPL&timeframe=1D&n_bars=300"
FIRST = 120  # the first bar in sight; an axis that grows wider hides one or two more


@pytest.fixture
def bars(page: Page, site: str) -> dict[str, list[float]]:
    """Return the API's bars in columns, and begin to record all texts that the chart writes."""
    page.add_init_script(RECORD)
    reply = page.request.get(f"{site}/api/tv/ohlc?{SERIES}&format=columns")
    columns: dict[str, list[float]] = reply.json()["ohlc"]
    return columns


def link(site: str, bars: dict[str, list[float]], *, rest: str = "") -> str:
    """Return the address of the chart with the bars from `FIRST` on visible."""
    times = bars["time"]
    return f"{site}/?{SERIES}&from={times[FIRST]}&to={times[-1]}{rest}"


def strength_index(closes: list[float], period: int = 14) -> float:
    """Return the last value of Wilder's index."""
    changes = [later - earlier for earlier, later in pairwise(closes)]
    gain = sum(max(change, 0) for change in changes[:period]) / period
    loss = sum(max(-change, 0) for change in changes[:period]) / period
    for change in changes[period:]:
        gain = (gain * (period - 1) + max(change, 0)) / period
        loss = (loss * (period - 1) + max(-change, 0)) / period
    return 100 * gain / (gain + loss)


def averaged(bars: dict[str, list[float]]) -> list[float]:
    """Return the closes of the Heikin-Ashi bars."""
    columns = zip(bars["open"], bars["high"], bars["low"], bars["close"], strict=True)
    return [sum(prices) / 4 for prices in columns]


def check_prices(axis: Axis, bars: dict[str, list[float]], *, type: str, scale: str) -> None:
    close = expected = bars["close"][-1]
    (label,) = axis.labels
    if scale == "percent":
        # Percentages are relative to the first visible value.
        drawn = averaged(bars) if type == "heikin-ashi" else bars["close"]
        possible = [100 * (close / base - 1) for base in drawn[FIRST - 1 : FIRST + 4]]
        expected = min(possible, key=lambda change: abs(change - label.value))
    assert label.value == pytest.approx(expected, abs=0.006)
    assert label.text.endswith("%") == (scale == "percent")
    # The label is at the height that the marks of the scale give to this value.
    span = max(mark.value for mark in axis.ticks) - min(mark.value for mark in axis.ticks)
    assert axis.value_at(label.y, is_log=scale == "log") == pytest.approx(expected, abs=span / 50)


def check_volume(axis: Axis, bars: dict[str, list[float]]) -> None:
    highest = max(bars["volume"][FIRST:])
    assert axis.labels == []
    assert axis.ticks
    assert all("%" not in mark.text and 0 < mark.value <= highest for mark in axis.ticks)


def check_index(axis: Axis, bars: dict[str, list[float]]) -> None:
    expected = strength_index(bars["close"])
    (label,) = axis.labels
    assert label.text == f"{expected:.1f}"
    assert all(0 <= mark.value <= 100 and "%" not in mark.text for mark in axis.ticks)
    # A linear scale: half way between two marks is half way between their values. A pixel is about 1.3.
    assert axis.value_at(label.y) == pytest.approx(expected, abs=2)


def check_axes(
    page: Page, bars: dict[str, list[float]], *, type: str, scale: str, has_index: bool
) -> None:
    prices, volume, *below = read_axes(page)
    check_prices(prices, bars, type=type, scale=scale)
    check_volume(volume, bars)
    assert len(below) == has_index
    for axis in below:
        check_index(axis, bars)


def test_every_type_scale_and_study_shows_the_apis_numbers_after_each_change(
    page: Page, site: str, bars: dict[str, list[float]]
) -> None:
    for studies in STUDIES:
        page.goto(link(site, bars, rest=f"&studies={studies}" if studies else ""))
        expect_bars(page, "NASDAQ:AAPL")
        for scale, type in product(SCALES, TYPES):
            page.locator(f"#scale input[value={scale}]").check(force=True)
            page.get_by_label("Chart type").select_option(type)
            check_axes(page, bars, type=type, scale=scale, has_index="rsi" in studies)


def test_a_study_chosen_on_another_scale_has_its_own_scale(
    page: Page, site: str, bars: dict[str, list[float]]
) -> None:
    page.goto(link(site, bars, rest="&scale=percent"))
    expect_bars(page, "NASDAQ:AAPL")
    page.get_by_role("button", name="Indicators").click()

    page.get_by_label("RSI", exact=True).check()

    expect(pane_legend(page, 2)).to_contain_text("RSI 14")
    check_axes(page, bars, type="candles", scale="percent", has_index=True)
    page.get_by_label("RSI", exact=True).uncheck()
    page.get_by_label("RSI", exact=True).check()
    check_axes(page, bars, type="candles", scale="percent", has_index=True)


def test_bars_without_volume_leave_the_index_its_own_scale(page: Page, site: str) -> None:
    page.add_init_script(RECORD)
    page.goto(f"{site}/?symbol=SP:SPX&timeframe=1D&n_bars=200&scale=log&studies=rsi:14")
    expect_bars(page, "SP:SPX")

    page.get_by_label("Chart type").select_option("line")
    page.get_by_label("Percent", exact=True).check(force=True)
    page.get_by_label("Chart type").select_option("bars")

    # Without volumes, the index has the first pane below the prices.
    legend = pane_legend(page, 1).locator(".legend-study .number").inner_text()
    (label,) = read_axes(page)[1].labels
    assert float(label.text) == pytest.approx(float(legend), abs=0.06)


def test_a_second_symbol_or_another_theme_leaves_each_pane_its_scale(
    page: Page, site: str, bars: dict[str, list[float]]
) -> None:
    page.goto(link(site, bars, rest="&studies=rsi:14&scale=percent&compare=BINANCE:BTCUSDT"))
    expect_bars(page, "NASDAQ:AAPL")
    expect(page.locator("#legend-studies")).not_to_contain_text("loading")

    for _ in range(2):
        page.keyboard.press("t")
        prices, volume, index = read_axes(page)
        assert [label.text.endswith("%") for label in prices.labels] == [True, True]
        check_volume(volume, bars)
        check_index(index, bars)


@pytest.mark.parametrize("type", ["candles", "line", "heikin-ashi"])
def test_the_label_shows_the_last_price_also_if_that_bar_is_not_visible(
    type: str, page: Page, site: str
) -> None:
    # Bars that have ended: the price of a forming bar can be above all others.
    series = "symbol=NASDAQ:AAPL&timeframe=1D&start=2025-06-02&end=2026-09-30"
    page.add_init_script(RECORD)
    reply = page.request.get(f"{site}/api/tv/ohlc?{series}&format=columns")
    bars: dict[str, list[float]] = reply.json()["ohlc"]
    close = bars["close"][-1]
    # Visible bars whose prices include the last price, but which end before the last bar.
    last = max(
        index
        for index in range(FIRST + 20, len(bars["time"]) - 1)
        if min(bars["low"][FIRST : index + 1]) < close < max(bars["high"][FIRST : index + 1])
        and abs(bars["close"][index] / close - 1) > 0.01
    )
    times = bars["time"]
    page.goto(f"{site}/?{series}&from={times[FIRST]}&to={times[last]}&studies=rsi:14&type={type}")
    expect_bars(page, "NASDAQ:AAPL")

    prices, _, index = read_axes(page)

    check_prices(prices, bars, type=type, scale="linear")
    check_index(index, bars)


@pytest.mark.parametrize("scale", ["log", "percent"])
def test_prices_of_zero_and_below_are_drawn_on_a_linear_scale_and_the_legend_says_why(
    page: Page, site: str, scale: str
) -> None:
    reply = bars_reply([20.0 - i / 2 for i in range(60)])
    page.add_init_script(RECORD)
    page.route("**/api/tv/ohlc?*", lambda route: route.fulfill(json=reply))

    page.goto(f"{site}/?symbol=TEST:FLAT&timeframe=1h&n_bars=60&scale={scale}")

    expect(page.locator("#legend-badges")).to_contain_text("linear scale")
    prices, _ = read_axes(page)
    (label,) = prices.labels
    assert label.value == -9.5
    assert prices.value_at(label.y) == pytest.approx(-9.5, abs=0.3)


def test_studies_below_the_prices_show_their_last_value_on_a_scale_of_their_own(
    page: Page, site: str, bars: dict[str, list[float]]
) -> None:
    studies = "volume:20,stochastic:14:1:3,macd:12:26:9,atr:14,donchian:20"
    page.goto(link(site, bars, rest=f"&scale=log&studies={studies}"))
    expect_bars(page, "NASDAQ:AAPL")

    _, volume, stochastic, macd, true_range = read_axes(page)

    (average,) = volume.labels
    assert average.value == pytest.approx(sum(bars["volume"][-20:]) / 20, rel=0.01)
    lowest, highest = min(bars["low"][-14:]), max(bars["high"][-14:])
    (label,) = stochastic.labels
    expected = 100 * (bars["close"][-1] - lowest) / (highest - lowest)
    assert label.value == pytest.approx(expected, abs=0.06)
    # Each pane names its own study only, and the legend over the prices has the others.
    names = ["Volume average 20", "Stochastic 14 1 3", "MACD 12 26 9", "ATR 14"]
    for pane, name in enumerate(names, start=1):
        expect(pane_legend(page, pane).locator(".legend-study-name")).to_have_text([name])
    expect(page.locator("#legend-studies .legend-study-name")).to_have_text(["Donchian 20"])
    for pane, axis in [(3, macd), (4, true_range)]:
        (label,) = axis.labels
        assert label.text == pane_legend(page, pane).locator(".number").inner_text().split()[0]
        assert all("%" not in mark.text for mark in axis.ticks)
    channel = page.locator("#legend-studies .number")
    upper, lower, _ = (float(number) for number in channel.inner_text().split())
    assert (upper, lower) == pytest.approx(
        (max(bars["high"][-20:]), min(bars["low"][-20:])), abs=0.006
    )


@pytest.mark.parametrize(
    ("zone", "clock"),
    [
        ("utc", "times in UTC"),
        ("exchange", "times in America/New_York"),
        ("Asia/Kolkata", "times in Asia/"),
        ("Mars/Olympus", "times in UTC"),
    ],
)
def test_a_saved_picture_says_the_clock_of_its_labels(
    page: Page, site: str, zone: str, clock: str
) -> None:
    page.add_init_script(RECORD)
    page.goto(f"{site}/?symbol=NASDAQ:AAPL&timeframe=1h&n_bars=200&zone={zone}")
    expect_bars(page, "NASDAQ:AAPL")

    with page.expect_download():
        page.get_by_role("button", name="Save the chart as an image").click()

    texts = page.evaluate(
        "[...window.painted.values()].flatMap((last) => last.texts).map(({ text }) => text)"
    )
    assert [text for text in texts if clock in text]


def test_the_times_are_those_of_any_zone_and_a_link_keeps_the_zone(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=NASDAQ:AAPL&timeframe=1h&n_bars=200")
    expect_bars(page, "NASDAQ:AAPL")

    page.get_by_label("Times in").select_option("Asia/Tokyo")

    expect(page.locator(".legend-time")).to_contain_text("UTC+9")
    page.goto(page.url)
    expect(page.locator(".legend-time")).to_contain_text("UTC+9")
    expect(page.get_by_label("Times in")).to_have_value("Asia/Tokyo")
