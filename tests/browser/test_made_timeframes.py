"""The chart of a timeframe that TradingView does not send."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.support.chart_reader import expect_bars, facts_of, query_of


def test_a_made_timeframe_can_be_chosen_and_says_what_it_is_made_from(
    page: Page, site: str
) -> None:
    page.goto(f"{site}/?symbol=BINANCE:ETHUSDT&timeframe=3h&n_bars=300")
    expect_bars(page, "BINANCE:ETHUSDT")

    page.get_by_role("radio", name="6 hours, made of 3h").locator("xpath=..").click()

    expect(page).to_have_url(re.compile("timeframe=6h"))
    expect_bars(page, "BINANCE:ETHUSDT")
    facts = facts_of(page)
    assert (facts["Timeframe"], facts["Made from"]) == ("6h", "3h")
    assert facts["Last bar"].startswith("final")
    page.goto(f"{site}/?symbol=BINANCE:ETHUSDT&timeframe=3h&n_bars=300")
    expect_bars(page, "BINANCE:ETHUSDT")
    assert "Made from" not in facts_of(page)


def test_a_link_may_name_any_length(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=NASDAQ:AAPL&timeframe=150&n_bars=50")

    expect_bars(page, "NASDAQ:AAPL")
    assert facts_of(page)["Timeframe"] == "150m"
    assert query_of(page)["timeframe"] == "150"
    expect(page.get_by_role("radio", name="150m")).to_be_checked()
    # The added button works as the others do.
    page.get_by_role("radio", name="2 hours", exact=True).locator("xpath=..").click()
    expect(page).to_have_url(re.compile("timeframe=2h"))
    expect_bars(page, "NASDAQ:AAPL")
    page.get_by_role("radio", name="150m").locator("xpath=..").click()
    expect(page).to_have_url(re.compile("timeframe=150"))
