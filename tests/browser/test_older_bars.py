"""Older bars on the chart: they come from the archive while the user moves to the left, and nothing jumps."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import FETCH_MS, WAIT_MS
from tests.support.chart_reader import band_pixels, expect_bars

# Other tests share the site: only these tests use bars of 2 hours of these symbols.
DEEP = "symbol=BINANCE:ETHUSDT&timeframe=2h"
REVISIONS = re.compile(r"/api/tv/series/\d+/revisions")
BARS = re.compile(r"/api/tv/series/\d+/bars\?")


@pytest.fixture(scope="module")
def archived(site: str, browser: Browser) -> str:
    """The site, with two series of 5,000 bars and a dataset of the newest 300 of each."""
    context = browser.new_context()
    for series in (DEEP, DEEP.replace("ETH", "LTC")):
        for n_bars in (5000, 300):
            assert context.request.get(
                f"{site}/api/tv/ohlc?{series}&n_bars={n_bars}&wait=60", timeout=FETCH_MS
            ).ok
    context.close()
    return site


def n_drawn(page: Page) -> int:
    label = page.locator("#chart").get_attribute("aria-label") or ""
    found = re.search(r", (\d+) bars", label)
    return int(found[1]) if found else 0


def expect_drawn(page: Page, n_bars: int) -> None:
    expect(page.locator("#chart")).to_have_attribute("aria-label", re.compile(f", {n_bars} bars"))


def scroll_left(page: Page, pixels: int = 4000) -> None:
    """Scroll the chart to older bars with the wheel of the mouse."""
    page.locator("#chart").hover(position={"x": 300, "y": 150})
    page.mouse.wheel(-pixels, 0)


def test_scrolling_left_loads_older_bars_until_the_archive_has_none(
    page: Page, archived: str
) -> None:
    asked: list[str] = []
    page.on(
        "request", lambda request: asked.append(request.url) if BARS.search(request.url) else None
    )
    page.goto(f"{archived}/?{DEEP}&n_bars=300")
    expect_bars(page, "BINANCE:ETHUSDT")
    expect_drawn(page, 300)

    for n_bars in (2300, 4300, 5000):
        scroll_until_drawn(page, n_bars)
    expect(page.locator("#status")).to_have_text("700 older bars.")
    n_asked = len(asked)
    for _ in range(5):
        scroll_left(page)
    expect_drawn(page, 5000)
    # One more request at most finds that there are none.
    assert len(asked) <= n_asked + 1


def test_older_bars_are_not_loaded_before_the_user_moves(page: Page, archived: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    with page.expect_response(REVISIONS):
        page.goto(f"{archived}/?{DEEP}&n_bars=300")
    expect_bars(page, "BINANCE:ETHUSDT")
    page.get_by_label("Chart type").select_option("line")

    assert not [url for url in asked if BARS.search(url)]


def test_the_visible_bars_stay_in_their_place(page: Page, archived: str) -> None:
    held: list[Route] = []
    page.route(BARS, lambda route: held.append(route))
    page.goto(f"{archived}/?{DEEP}&n_bars=300")
    expect_bars(page, "BINANCE:ETHUSDT")
    with page.expect_request(BARS):
        scroll_left(page, 700)
    before = bar_at(page, 900)

    held[0].continue_()
    expect_drawn(page, 2300)

    assert bar_at(page, 900) == before


def test_bands_of_missing_bars_stay_with_their_bars(page: Page, archived: str) -> None:
    drawn = page.request.get(f"{archived}/api/tv/ohlc?{DEEP}&n_bars=300").json()["ohlc"]
    finding = {
        "kind": "session_missing", "start": drawn[60]["time"], "end": drawn[64]["time"],
        "n_bars": 4, "n_sessions": 1, "reason": "A test.",
    }  # fmt: skip
    report = {"why_unknown": "", "n_findings": 1, "findings": [finding]}
    page.route(re.compile(r"/api/tv/datasets/\d+/gaps$"), lambda route: route.fulfill(json=report))
    held: list[Route] = []
    page.route(BARS, lambda route: held.append(route))
    page.goto(f"{archived}/?{DEEP}&n_bars=300&gaps=1")
    expect_bars(page, "BINANCE:ETHUSDT")
    with page.expect_request(BARS):
        scroll_left(page, 700)
    before = band_pixels(page)

    held[0].continue_()
    expect_drawn(page, 2300)

    assert before
    assert band_pixels(page) == before


def test_a_compared_symbol_gets_older_bars_too(page: Page, archived: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{archived}/?{DEEP}&n_bars=300&compare=BINANCE:LTCUSDT")
    expect_bars(page, "BINANCE:ETHUSDT")
    expect(page.locator("#legend-studies")).to_contain_text(re.compile(r"BINANCE:LTCUSDT\s*[\d.]+"))
    assert not [url for url in asked if BARS.search(url)]
    scroll_until_drawn(page, 2300)

    page.locator("#chart").press("Home")
    page.mouse.move(60, 400)

    # Of the oldest bar, and so of the time before the other symbol's newest 300 bars.
    expect(page.locator("#legend-studies")).to_contain_text(re.compile(r"BINANCE:LTCUSDT\s*[\d.]+"))
    numbers = [found[1] for url in asked if (found := re.search(r"/series/(\d+)/bars", url))]
    assert len(set(numbers)) == 2


def test_the_bars_stay_in_their_place_beside_a_compared_symbol(page: Page, archived: str) -> None:
    held: list[Route] = []
    page.route(BARS, lambda route: held.append(route))
    page.goto(f"{archived}/?{DEEP}&n_bars=300&compare=BINANCE:LTCUSDT")
    expect_bars(page, "BINANCE:ETHUSDT")
    expect(page.locator("#legend-studies")).to_contain_text(re.compile(r"BINANCE:LTCUSDT\s*[\d.]+"))
    with page.expect_request(BARS):
        scroll_left(page, 700)
    before = bar_at(page, 900)

    with page.expect_request(BARS):
        held[0].continue_()
    assert bar_at(page, 900) == before
    with page.expect_response(BARS):
        held[1].continue_()

    assert bar_at(page, 900) == before
    expect_drawn(page, 2300)


def test_an_archive_of_another_basis_is_not_mixed_in(page: Page, archived: str) -> None:
    def rescaled(route: Route) -> None:
        reply: dict[str, Any] = route.fetch().json()
        reply["ohlc"]["close"] = [close / 4 for close in reply["ohlc"]["close"]]
        route.fulfill(json=reply)

    page.route(BARS, rescaled)
    page.goto(f"{archived}/?{DEEP}&n_bars=300")
    expect_bars(page, "BINANCE:ETHUSDT")
    with page.expect_response(BARS):
        scroll_left(page)

    expect(page.locator("#status")).to_contain_text("The archive has changed since")
    expect_drawn(page, 300)


def test_revisions_are_marked_on_the_chart(page: Page, archived: str) -> None:
    newest = page.request.get(f"{archived}/api/tv/ohlc?{DEEP}&n_bars=300").json()["ohlc"]
    revision = {
        "finding": "ratio", "state": "accepted", "is_split": True,
        "first_time": newest[200]["time"], "last_time": newest[280]["time"],
    }  # fmt: skip
    found: list[dict[str, Any]] = []
    page.route(REVISIONS, lambda route: route.fulfill(json={"results": found}))
    with page.expect_response(REVISIONS):
        page.goto(f"{archived}/?{DEEP}&n_bars=300")
    expect_bars(page, "BINANCE:ETHUSDT")
    two_frames(page)
    plain = sum_of_colors(page)
    found.append(revision)

    with page.expect_response(REVISIONS):
        page.reload()
    expect_bars(page, "BINANCE:ETHUSDT")
    two_frames(page)

    assert sum_of_colors(page) != plain


COLORS = """() => {
  let sum = 0;
  for (const canvas of document.querySelectorAll("#chart canvas")) {
    if (!canvas.width) continue;
    const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
    for (let i = 0; i < data.length; i += 4) sum += data[i] + data[i + 1] + data[i + 2];
  }
  return sum;
}"""


def sum_of_colors(page: Page) -> int:
    """Return the sum of all colours of the chart."""
    return int(page.evaluate(COLORS))


def bar_at(page: Page, x: float) -> str:
    """Return what the legend shows of the bar at a place of the window."""
    page.mouse.move(x - 30, 400)
    page.mouse.move(x, 400)
    two_frames(page)
    return page.locator("#legend-values").inner_text()


def two_frames(page: Page) -> None:
    """Wait until the chart has painted what it knows."""
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


def scroll_until_drawn(page: Page, n_bars: int) -> None:
    """Scroll to the left until as many bars are drawn."""
    deadline = time.monotonic() + WAIT_MS / 1000
    while n_drawn(page) < n_bars and time.monotonic() < deadline:
        scroll_left(page)
        page.evaluate("new Promise(requestAnimationFrame)")
    expect_drawn(page, n_bars)


def test_more_bars_than_the_archive_holds_are_refused_with_what_there_is(
    page: Page, archived: str
) -> None:
    page.goto(f"{archived}/?{DEEP}&n_bars=300")
    expect_bars(page, "BINANCE:ETHUSDT")

    page.locator("#n_bars").fill("60000")
    page.locator("#n_bars").press("Enter")

    expect(page.locator("#problem-code")).to_have_text("invalid_request")
    expect(page.locator("#problem-detail")).to_contain_text("holds 5000 bars, from")
