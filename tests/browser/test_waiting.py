"""Notices of the chart page while no bars can arrive: a cool-down, or no worker."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Route, ViewportSize, expect

from tests.browser.conftest import DESKTOP, PHONE, serious_findings
from tests.support.chart_reader import expect_bars

REASON = "TradingView refused the call."


def cool_down(page: Page, seconds: Callable[[], float | None]) -> None:
    """Make the service's status report a cool-down with these seconds left."""

    def answer(route: Route) -> None:
        status: dict[str, Any] = route.fetch().json()
        left = seconds()
        route.fulfill(
            json=status | {"cool_down_s": left, "cool_down_reason": REASON if left else None}
        )

    page.route("**/api/tv/status", answer)


def test_a_cool_down_is_shown_with_its_remaining_time(page: Page, site: str) -> None:
    cool_down(page, lambda: 125.0)
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=300")
    expect_bars(page, "BINANCE:BTCUSDT")

    strip = page.locator("#cool-down")
    expect(strip).to_contain_text(REASON)
    expect(strip).to_contain_text(re.compile(r"pause for 2 min 0[0-5] s more"))
    # The time counts down.
    expect(page.locator("#cool-down-left")).to_have_text(re.compile(r"1 min 5\d s|2 min 0[0-3] s"))


def test_a_cool_down_that_is_over_or_unknown_is_not_shown(page: Page, site: str) -> None:
    left = iter([2.0])
    cool_down(page, lambda: next(left, None))
    page.goto(site)
    expect(page.locator("#cool-down")).to_be_visible()

    expect(page.locator("#cool-down")).to_be_hidden()
    expect(page.locator("#status")).to_have_text("New bars can be fetched again.")


def test_a_refusal_shows_its_cool_down(page: Page, site: str) -> None:
    left: list[float] = [0.0]
    cool_down(page, lambda: left[0])
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=300")
    expect_bars(page, "BINANCE:BTCUSDT")
    expect(page.locator("#cool-down")).to_be_hidden()
    left[0] = 60.0
    problem = {"title": "", "detail": REASON, "code": "rate_limited", "retryable": True}
    page.route(
        re.compile(r"/api/tv/ohlc\?symbol=LTCUSDT"),
        lambda route: route.fulfill(status=500, json=problem, headers={"Retry-After": "60"}),
    )
    # The page reads the status at most once in this number of milliseconds.
    page.clock.install()
    page.clock.fast_forward(5000)

    page.get_by_label("Symbol", exact=True).fill("BINANCE:LTCUSDT")
    page.get_by_label("Symbol", exact=True).press("Enter")

    expect(page.locator("#cool-down")).to_be_visible()
    expect(page.locator("#legend-symbol")).to_have_text("BINANCE:BTCUSDT")


@pytest.mark.parametrize(("theme", "window"), [("light", DESKTOP), ("dark", PHONE)])
def test_axe_finds_nothing_serious_in_a_cool_down(
    theme: str, window: ViewportSize, site: str, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(color_scheme=theme, viewport=window).new_page()
    cool_down(page, lambda: 125.0)
    page.goto(site)
    expect(page.locator("#cool-down")).to_be_visible()

    assert serious_findings(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= window["width"]


NO_WORKER = "No worker has been seen for 30 s, and only a worker fetches."


def test_a_fetch_without_a_worker_shows_a_notice_until_a_worker_starts_it(
    page: Page, site: str
) -> None:
    row = {
        "state": "queued", "attempts": 0, "count": 0, "n_bars": 300, "ahead": 0, "fetched_ms": 0,
        "error": None, "next_attempt_at": None, "allowed_at": None, "notice": NO_WORKER,
    }  # fmt: skip
    waits = {"is_alone": True}

    def answer(route: Route) -> None:
        route.fulfill(json=row if waits["is_alone"] else row | {"state": "running", "notice": ""})

    page.route(
        "**/api/tv/ohlc?*",
        lambda route: route.fulfill(
            status=202, json=row, headers={"Location": "/api/tv/fetches/7"}
        ),
    )
    page.route("**/api/tv/fetches/7", answer)
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=300")

    expect(page.locator("#busy-notice")).to_have_text(NO_WORKER)
    expect(page.locator("#status")).to_contain_text(NO_WORKER)
    assert serious_findings(page) == []
    waits["is_alone"] = False
    expect(page.locator("#busy-step")).to_contain_text("Fetching from the feed")
    expect(page.locator("#busy-notice")).to_be_hidden()
