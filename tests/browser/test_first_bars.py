"""The chart page requests the bars of its address before it can draw them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, Route, ViewportSize, expect

from tests.browser.conftest import DESKTOP, PHONE
from tests.support.chart_reader import expect_bars

ADDRESS = "/?symbol=BINANCE:BTCUSDT&n_bars=300"


def test_the_bars_are_requested_once_and_before_the_page_can_draw(page: Page, site: str) -> None:
    # A page that must wait for a fetch asks again until the bars are there.
    assert page.request.get(f"{site}/api/tv/ohlc{ADDRESS[1:]}&wait=60").ok
    held: list[Route] = []
    page.route("**/static/js/main.js", lambda route: held.append(route))
    asked: list[str] = []
    page.on("request", lambda sent: asked.append(sent.url))

    with page.expect_response("**/api/tv/ohlc?*"):
        page.goto(f"{site}{ADDRESS}", wait_until="commit")
    held[0].continue_()

    expect_bars(page, "BINANCE:BTCUSDT")
    assert len([address for address in asked if "/ohlc?" in address]) == 1


def test_a_refused_first_request_is_a_problem_that_the_reader_may_try_again(
    page: Page, site: str
) -> None:
    page.route("**/api/tv/ohlc?*", lambda route: route.abort(), times=1)
    page.goto(f"{site}{ADDRESS}")
    expect(page.locator("#problem-code")).to_have_text("service_unreachable")

    page.locator("#problem-retry").click()

    expect_bars(page, "BINANCE:BTCUSDT")


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_drawing_tools_that_were_open_take_their_room_before_they_are_loaded(
    viewport: ViewportSize, site: str, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(viewport=viewport).new_page()
    page.add_init_script("localStorage.setItem('datasets.drawing-tools', 'true')")
    held: list[Route] = []
    page.route("**/static/js/later.js", lambda route: held.append(route))
    with page.expect_request("**/static/js/later.js"):
        page.goto(f"{site}{ADDRESS}")
    tools, chart = page.locator("#drawing-tools"), page.locator("#chart")
    before = tools.bounding_box(), chart.bounding_box()
    expect(page.locator("#drawing-open")).to_be_disabled()

    held[0].continue_()

    expect_bars(page, "BINANCE:BTCUSDT")
    expect(tools.get_by_role("button")).to_have_count(13)
    assert (tools.bounding_box(), chart.bounding_box()) == before


def test_every_module_of_the_page_is_preloaded(page: Page, site: str) -> None:
    page.goto(f"{site}{ADDRESS}")
    expect_bars(page, "BINANCE:BTCUSDT")

    loaded = page.evaluate(
        "performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname)"
    )
    named = page.evaluate(
        "[...document.querySelectorAll('link[rel=modulepreload], script[src]')].map(({ href, src }) => new URL(href ?? src).pathname)"
    )
    modules = {path for path in loaded if path.endswith((".js", ".mjs"))}
    # `main.js` loads this one itself, together with the modules that it names.
    assert modules - set(named) == {"/static/js/later.js"}
