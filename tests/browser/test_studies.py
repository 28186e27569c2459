"""Several studies of one kind, their colours, and averages from an anchor, on the chart page."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.support.chart_axes import RECORD, read_axes
from tests.support.chart_reader import expect_bars, query_of

SERIES = "symbol=NASDAQ:AAPL&n_bars=600"
ARCHIVED = "symbol=BINANCE:XRPUSDT&timeframe=2h"


def bars_of(page: Page, site: str, query: str) -> pd.DataFrame:
    reply = page.request.get(f"{site}/api/tv/ohlc?{query}&format=columns&wait=60")
    return pd.DataFrame(reply.json()["ohlc"])


def weighted(bars: pd.DataFrame) -> float:
    """Return the average price of these bars, weighted by their volume."""
    return float(np.average(bars[["high", "low", "close"]].mean(axis=1), weights=bars["volume"]))


def legend(page: Page, name: str) -> Locator:
    return page.locator(".legend-study", has_text=name)


def numbers(page: Page) -> list[list[float]]:
    texts = page.locator(".legend-study .number").all_inner_texts()
    return [[float(number) for number in re.findall(r"[\d.]+", text)] for text in texts]


def test_an_anchored_average_is_right_on_every_timeframe(page: Page, site: str) -> None:
    hours = bars_of(page, site, f"{SERIES}&timeframe=1h")
    days = bars_of(page, site, f"{SERIES}&timeframe=1D")
    # The fourth hour of a day: the average of days begins with this day.
    day = days["time"].iloc[-20]
    anchor = int(hours["time"][hours["time"] >= day].iloc[3])
    for timeframe, bars, first in [("1h", hours, anchor), ("1D", days, day)]:
        page.goto(f"{site}/?{SERIES}&timeframe={timeframe}&studies=avwap:{anchor}")
        expect_bars(page, "NASDAQ:AAPL")
        expected = weighted(bars[bars["time"] >= first])
        expect(legend(page, "VWAP from")).to_contain_text(f"{expected:.2f}")


def test_an_anchor_before_the_bars_is_said_and_older_bars_bring_the_right_average(
    page: Page, site: str
) -> None:
    bars = bars_of(page, site, f"{ARCHIVED}&n_bars=1500")
    page.request.get(f"{site}/api/tv/ohlc?{ARCHIVED}&n_bars=300&wait=60")
    anchor = int(bars["time"].iloc[-900])
    page.goto(f"{site}/?{ARCHIVED}&n_bars=300&studies=avwap:{anchor},avwap:{2**32 - 2**28}")
    expect_bars(page, "BINANCE:XRPUSDT")
    expect(legend(page, "VWAP from").first).to_contain_text("begins before the first bar shown")
    expect(legend(page, "VWAP from").last).to_contain_text("begins after the newest bar")

    page.locator("#chart").hover(position={"x": 300, "y": 250})
    page.mouse.wheel(-6000, 0)
    page.mouse.wheel(-6000, 0)
    # Beside the chart, so that the legend has the newest bar: the visible ones may be older than the anchor by now.
    page.mouse.move(5, 5)

    expect(legend(page, "VWAP from").first.locator(".number")).to_have_text(
        re.compile(r"^[\d.,]+$")
    )
    (value,), _ = numbers(page)
    assert value == pytest.approx(weighted(bars[bars["time"] >= anchor]), rel=1e-4)


def test_studies_of_one_kind_have_their_own_numbers_and_colours_and_a_link_keeps_them(
    page: Page, site: str, open_context: Callable[..., BrowserContext]
) -> None:
    page.goto(f"{site}/?{SERIES}&timeframe=1D&studies=ema:9")
    expect_bars(page, "NASDAQ:AAPL")
    page.get_by_role("button", name="Indicators").click()
    rows = page.locator(".study[data-kind=ema]")
    for number, chosen in enumerate(["20", "50"]):
        rows.nth(number).get_by_role("button", name="Another").click()
        rows.nth(number + 1).get_by_label("period").fill(chosen)
        rows.nth(number + 1).get_by_label("period").press("Tab")
    rows.nth(2).get_by_label("colour").select_option("pink")

    expect(page.locator(".legend-study")).to_have_text(
        [re.compile(f"EMA {n} ") for n in (9, 20, 50)]
    )
    assert query_of(page)["studies"] == "ema:9,ema:20:c1,ema:50:c6"
    closes = bars_of(page, site, f"{SERIES}&timeframe=1D")["close"]
    for (found,), period in zip(numbers(page), (9, 20, 50), strict=True):
        seeded = closes.copy()
        seeded[: period - 1] = np.nan
        seeded[period - 1] = closes[:period].mean()
        assert found == pytest.approx(
            seeded.ewm(span=period, adjust=False).mean().iloc[-1], abs=0.006
        )

    look = "names => names.map(name => [name.textContent, getComputedStyle(name).color])"
    drawn = page.locator(".legend-study-name").evaluate_all(look)
    assert len({color for _, color in drawn}) == 3
    other = open_context().new_page()
    other.goto(page.url)
    expect_bars(other, "NASDAQ:AAPL")
    assert other.locator(".legend-study-name").evaluate_all(look) == drawn
    assert other.url == page.url

    rows.nth(1).get_by_role("button", name="Remove").click()
    expect(page.locator(".legend-study")).to_have_text([re.compile(f"EMA {n} ") for n in (9, 50)])
    # This browser keeps the chosen studies.
    page.goto(f"{site}/")
    page.get_by_role("button", name="Indicators").click()
    expect(rows).to_have_count(2)
    expect(rows.nth(1).get_by_label("colour")).to_have_value("6")


def test_a_clicked_bar_or_the_bar_of_the_arrow_keys_is_the_anchor(page: Page, site: str) -> None:
    times = bars_of(page, site, f"{SERIES}&timeframe=1h")["time"]
    page.goto(f"{site}/?{SERIES}&timeframe=1h")
    expect_bars(page, "NASDAQ:AAPL")

    def choose() -> None:
        page.get_by_role("button", name="Indicators").click()
        page.get_by_role("button", name="Choose the bar on the chart").click()

    choose()
    page.keyboard.press("Escape")
    expect(page.locator("#pick")).to_be_hidden()
    page.locator("#chart").click(position={"x": 500, "y": 300})
    expect(page.locator(".legend-study")).to_have_count(0)

    choose()
    page.locator("#chart").click(position={"x": 500, "y": 300})
    expect(legend(page, "VWAP from")).to_be_visible()
    clicked = int(query_of(page)["studies"].removeprefix("avwap:"))
    assert clicked in set(times)

    choose()
    page.keyboard.press("ArrowRight")
    pointed = page.locator(".legend-time").inner_text().removesuffix(" UTC")
    page.keyboard.press("Enter")
    expect(legend(page, f"VWAP from {pointed}")).to_be_visible()

    page.get_by_role("button", name="Indicators").click()
    page.get_by_label("Anchored VWAP: from, UTC").fill("2026-01-02T15:00")
    expect(legend(page, "Jan 2, 2026")).to_be_visible()


def test_a_twelfth_study_is_the_last_one_and_the_menu_says_so(page: Page, site: str) -> None:
    studies = ",".join(f"sma:{period}" for period in range(10, 21))
    page.goto(f"{site}/?{SERIES}&timeframe=1D&studies={studies}")
    expect_bars(page, "NASDAQ:AAPL")
    page.get_by_role("button", name="Indicators").click()
    expect(page.locator("#study-limit")).to_be_hidden()

    page.get_by_label("RSI", exact=True).check()

    expect(page.locator("#study-limit")).to_contain_text("Remove one to add another")
    expect(page.get_by_label("MACD", exact=True)).to_be_disabled()
    expect(page.get_by_role("button", name="Another RSI")).to_be_disabled()
    page.get_by_label("RSI", exact=True).uncheck()
    expect(page.get_by_label("MACD", exact=True)).to_be_enabled()


def test_two_studies_share_a_pane_with_a_label_each(page: Page, site: str) -> None:
    page.add_init_script(RECORD)
    page.goto(f"{site}/?{SERIES}&timeframe=1D&studies=rsi:14,rsi:7,macd:12:26:9,macd:5:10:4")
    expect_bars(page, "NASDAQ:AAPL")

    _, _, strength, macd = read_axes(page)

    written = numbers(page)
    assert [label.value for label in strength.labels] == pytest.approx(
        [written[0][0], written[1][0]], abs=0.06
    )
    assert len(macd.labels) == 2
