"""The chart page requests the bars of its address before it can draw them."""

from __future__ import annotations

from playwright.sync_api import Page, Route, expect

from tests.support.chart_reader import expect_bars

ADDRESS = "/?symbol=BINANCE:BTCUSDT&n_bars=300"


def test_the_bars_are_requested_once_and_before_the_page_can_draw(page: Page, site: str) -> None:
    held: list[Route] = []
    page.route("**/static/js/main.js", held.append)
    asked: list[str] = []
    page.on("request", lambda sent: "/ohlc?" in sent.url and asked.append(sent.url))

    with page.expect_response("**/api/tv/ohlc?*"):
        page.goto(f"{site}{ADDRESS}", wait_until="commit")
    held[0].continue_()

    expect_bars(page, "BINANCE:BTCUSDT")
    assert len(asked) == 1, asked


def test_a_refused_first_request_is_a_problem_that_the_reader_may_try_again(
    page: Page, site: str
) -> None:
    page.route("**/api/tv/ohlc?*", lambda route: route.abort(), times=1)
    page.goto(f"{site}{ADDRESS}")
    expect(page.locator("#problem-code")).to_have_text("service_unreachable")

    page.locator("#problem-retry").click()

    expect_bars(page, "BINANCE:BTCUSDT")


def test_every_module_of_the_page_is_preloaded(page: Page, site: str) -> None:
    page.goto(f"{site}{ADDRESS}")
    expect_bars(page, "BINANCE:BTCUSDT")

    loaded = page.evaluate(
        "performance.getEntriesByType('resource').map(({ name }) => new URL(name).pathname)"
    )
    named = page.evaluate(
        "[...document.querySelectorAll('link[rel=modulepreload], script')].map(({ href, src }) => new URL(href ?? src).pathname)"
    )
    modules = {path for path in loaded if path.endswith((".js", ".mjs"))}
    assert modules - set(named) == set()
