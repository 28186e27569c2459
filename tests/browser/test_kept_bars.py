"""A failed load leaves the drawn bars, and shows the reason above them with a way back."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, Route, ViewportSize, expect

from tests.browser.conftest import DESKTOP, PHONE, serious_findings
from tests.support.chart_reader import expect_bars, facts_of, n_colored_pixels, query_of

DOWN = {"title": "", "detail": "The feed is down.", "code": "feed_unreachable", "retryable": True}


def ask_for(page: Page, symbol: str) -> None:
    page.get_by_label("Symbol", exact=True).fill(symbol)
    page.get_by_label("Symbol", exact=True).press("Enter")


def expect_kept(page: Page, full_symbol: str) -> None:
    """Check that the bars of this symbol are drawn below the problem, and that nothing covers them."""
    problem = page.locator("#overlay-problem")
    expect(problem).to_be_visible()
    expect(page.locator("#legend-symbol")).to_have_text(full_symbol)
    expect(page.locator("#problem-kept")).to_contain_text(f"still shows {full_symbol} 1h")
    reason, chart = problem.bounding_box(), page.locator("#chart").bounding_box()
    assert reason is not None
    assert chart is not None
    assert reason["y"] + reason["height"] <= chart["y"] + 1
    assert n_colored_pixels(page) > 500


def test_a_refused_symbol_leaves_the_bars_and_a_way_back_to_them(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=300")
    expect_bars(page, "BINANCE:BTCUSDT")

    ask_for(page, "BINANCE:NOSUCHTHING")

    expect(page.locator("#problem-code")).to_have_text("symbol_not_found")
    expect(page.locator("#symbol-list")).to_be_visible()
    page.keyboard.press("Escape")  # the list of matches, not the problem
    expect_kept(page, "BINANCE:BTCUSDT")
    assert query_of(page)["symbol"] == "NOSUCHTHING"
    # The chart works, and names the symbol that it shows.
    page.get_by_label("Chart type").select_option("line")
    expect(page.locator("#legend-name")).to_contain_text("line of closes")
    assert page.locator("#downloads a").first.get_attribute("href") is not None
    assert "BTCUSDT" in (page.locator("#downloads a").first.get_attribute("href") or "")

    page.get_by_role("button", name="Back to the chart").click()

    expect_bars(page, "BINANCE:BTCUSDT")
    expect(page.get_by_label("Symbol", exact=True)).to_have_value("BTCUSDT")
    expect(page.get_by_label("Symbol", exact=True)).not_to_have_attribute("aria-invalid", "true")
    assert query_of(page)["symbol"] == "BTCUSDT"


def test_a_lost_request_leaves_the_bars_and_can_be_tried_again(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=300")
    expect_bars(page, "BINANCE:BTCUSDT")
    page.route(re.compile(r"/api/tv/ohlc\?symbol=LTCUSDT"), lambda route: route.abort(), times=1)

    ask_for(page, "BINANCE:LTCUSDT")

    expect(page.locator("#problem-code")).to_have_text("service_unreachable")
    expect_kept(page, "BINANCE:BTCUSDT")
    page.get_by_role("button", name="Try again").click()
    expect_bars(page, "BINANCE:LTCUSDT")


def test_a_fetch_that_fails_later_leaves_the_bars(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=300")
    expect_bars(page, "BINANCE:BTCUSDT")
    row = {"state": "failed", "error": DOWN}
    page.route(
        re.compile(r"/api/tv/ohlc\?symbol=LTCUSDT"),
        lambda route: route.fulfill(
            status=202, json=row, headers={"Location": "/api/tv/fetches/7"}
        ),
    )

    ask_for(page, "BINANCE:LTCUSDT")

    expect(page.get_by_role("alert")).to_contain_text("The feed is down.")
    expect_kept(page, "BINANCE:BTCUSDT")
    page.keyboard.press("Escape")
    page.locator("#chart").press("Escape")
    expect_bars(page, "BINANCE:BTCUSDT")
    assert query_of(page)["symbol"] == "BTCUSDT"


def test_a_device_without_a_network_gets_that_reason(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=300")
    expect_bars(page, "BINANCE:BTCUSDT")
    page.context.set_offline(True)

    ask_for(page, "BINANCE:LTCUSDT")

    expect(page.locator("#problem-title")).to_have_text("Offline")
    expect(page.get_by_role("alert")).to_contain_text("no connection to a network")
    expect_kept(page, "BINANCE:BTCUSDT")
    page.context.set_offline(False)
    page.get_by_role("button", name="Try again").click()
    expect_bars(page, "BINANCE:LTCUSDT")


def test_the_visible_range_of_kept_bars_does_not_apply_to_other_bars(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=3000")
    expect_bars(page, "BINANCE:BTCUSDT")
    ask_for(page, "BINANCE:NOSUCHTHING")
    expect(page.locator("#problem-code")).to_have_text("symbol_not_found")
    page.keyboard.press("Escape")

    page.get_by_role("button", name="5D").click()
    expect(page.get_by_role("button", name="5D")).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Chart type").select_option("line")

    assert "from" not in query_of(page)


def test_a_failed_first_request_shows_its_reason_in_place_of_the_chart(
    page: Page, site: str
) -> None:
    page.route(
        re.compile(r"/api/tv/ohlc"),
        lambda route: route.fulfill(status=500, json=DOWN),
        times=1,
    )
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=300")

    expect(page.get_by_role("alert")).to_contain_text("The feed is down.")
    expect(page.get_by_role("button", name="Back to the chart")).to_be_hidden()
    expect(page.locator("#problem-kept")).to_be_hidden()
    assert facts_of(page)["Shown"].startswith("Nothing")


@pytest.mark.parametrize(("theme", "window"), [("light", DESKTOP), ("dark", PHONE)])
def test_axe_finds_nothing_serious_in_a_reason_above_bars(
    theme: str, window: ViewportSize, site: str, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(color_scheme=theme, viewport=window).new_page()
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=300")
    expect_bars(page, "BINANCE:BTCUSDT")

    def refuse(route: Route) -> None:
        route.fulfill(status=500, json=DOWN, headers={"Retry-After": "30"})

    page.route(re.compile(r"/api/tv/ohlc\?symbol=LTCUSDT"), refuse)
    ask_for(page, "BINANCE:LTCUSDT")
    expect(page.get_by_role("button", name="Try again in")).to_be_visible()

    assert serious_findings(page) == []
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= window["width"]
