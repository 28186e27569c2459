"""The chart page in a real browser, against the real web server, worker and sample feed."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from datasets.errors import FetchError, all_codes
from tests.browser.conftest import DESKTOP, PHONE, save_screenshot, serious_findings

logger = logging.getLogger(__name__)

# What the content security policy is going to say; the hash is of the one <style> element
# that the chart library writes, for its attribution.
STRICT_POLICY = (
    "default-src 'none'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; style-src 'self' 'sha256-3pRED1tOXas1FXFoPb9TGCjmYe9XQsmO9OV23khV2nY='"
)


def expect_bars(page: Page, full_symbol: str, *, source: str = "") -> None:
    """Wait until the bars of this symbol are drawn."""
    expect(page.locator("#legend-symbol")).to_have_text(full_symbol)
    expect(page.locator("#stage")).not_to_have_attribute("aria-busy", "true")
    expect(page.locator("#overlay-busy")).to_be_hidden()
    expect(page.locator("#overlay-problem")).to_be_hidden()
    assert n_colored_pixels(page) > 500


def n_colored_pixels(page: Page) -> int:
    """Count the pixels of the chart that are neither grey nor near it: those of the bars."""
    return int(
        page.evaluate(
            """() => {
              let count = 0;
              for (const canvas of document.querySelectorAll("#chart canvas")) {
                const { width, height } = canvas;
                if (!width || !height) continue;
                const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
                for (let i = 0; i < pixels.length; i += 4) {
                  const [r, g, b, a] = pixels.subarray(i, i + 4);
                  if (a > 60 && Math.max(r, g, b) - Math.min(r, g, b) > 60) count++;
                }
              }
              return count;
            }"""
        )
    )


def query_of(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def facts_of(page: Page) -> dict[str, str]:
    """Return the line under the chart as name → text."""
    pairs = page.locator("#facts-list div").evaluate_all(
        "groups => groups.map(group => [group.children[0].textContent, group.children[1].textContent])"
    )
    return dict(pairs)


def test_typing_a_symbol_and_enter_leads_to_candles(page: Page, site: str) -> None:
    page.goto(site)
    expect(page.locator("#overlay-empty")).to_be_visible()

    page.get_by_label("Symbol", exact=True).fill("binance:ethusdt")
    page.get_by_label("Bars", exact=True).fill("300")
    page.get_by_label("Symbol", exact=True).press("Enter")

    expect_bars(page, "BINANCE:ETHUSDT")
    assert query_of(page) == {
        "symbol": "ETHUSDT",
        "exchange": "BINANCE",
        "timeframe": "1h",
        "n_bars": "300",
    }
    facts = facts_of(page)
    assert facts["Source"] == "Sample feed (synthetic)"
    assert (facts["Bars"], facts["Timeframe"], facts["From"]) == ("300", "1h", "a new fetch")
    expect(page.locator(".banner")).to_contain_text("These bars are synthetic")
    expect(page.locator("#tv-attr-logo")).to_have_attribute("href", re.compile("tradingview.com"))


def test_a_second_visit_is_served_from_the_cache(page: Page, site: str) -> None:
    address = f"{site}/?symbol=BINANCE:LTCUSDT&n_bars=200"
    page.goto(address)
    expect_bars(page, "BINANCE:LTCUSDT")

    page.goto("about:blank")
    page.goto(address)

    expect_bars(page, "BINANCE:LTCUSDT")
    assert facts_of(page)["From"] == "the cache"


def test_an_unknown_symbol_shows_its_sentence_and_no_try_again(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=NOSUCHTHING&exchange=BINANCE")

    expect(page.locator("#problem-code")).to_have_text("symbol_not_found")
    expect(page.get_by_role("alert")).to_contain_text("NOSUCHTHING")
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()


def test_a_wrong_field_is_marked_and_named(page: Page, site: str) -> None:
    page.goto(site)
    page.get_by_label("Symbol", exact=True).fill("BINANCE:BTCUSDT")
    page.get_by_label("Bars", exact=True).fill("0")
    page.get_by_label("Bars", exact=True).press("Enter")

    expect(page.locator("#problem-code")).to_have_text("invalid_request")
    expect(page.get_by_label("Bars", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Bars", exact=True)).to_be_focused()
    expect(page.get_by_label("Symbol", exact=True)).not_to_have_attribute("aria-invalid", "true")


FETCH_ERRORS = [
    kind
    for kind in all_codes().values()
    if issubclass(kind, FetchError) and not kind.__subclasses__()
]


@pytest.mark.parametrize("error", FETCH_ERRORS, ids=lambda error: error.code)
def test_every_error_shows_its_sentence_and_try_again_only_where_that_helps(
    error: type[FetchError], page: Page, site: str
) -> None:
    problem = {
        "title": "Fetch failed",
        "detail": f"The sentence of {error.code}.",
        "code": error.code,
        "retryable": error.retryable,
    }
    page.route(
        "**/api/tv/ohlc?*",
        lambda route: route.fulfill(
            status=500, content_type="application/problem+json", body=json.dumps(problem)
        ),
    )
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT")

    expect(page.get_by_role("alert")).to_contain_text(f"The sentence of {error.code}.")
    # One of its own, not the reply's general one.
    expect(page.locator("#problem-title")).not_to_have_text("Fetch failed")
    expect(page.locator("#problem-retry")).to_be_visible(visible=error.retryable)


def test_a_failure_that_passes_offers_try_again(page: Page, site: str) -> None:
    problem = {
        "title": "Fetch failed",
        "detail": "The feed closed the connection early.",
        "code": "feed_closed",
        "retryable": True,
    }
    page.route(
        "**/api/tv/ohlc?*",
        lambda route: route.fulfill(
            status=500, content_type="application/problem+json", body=json.dumps(problem)
        ),
        times=1,
    )
    page.goto(f"{site}/?symbol=BINANCE:XRPUSDT&n_bars=200")
    expect(page.get_by_role("alert")).to_contain_text("The feed closed the connection early.")

    page.get_by_role("button", name="Try again").click()

    expect_bars(page, "BINANCE:XRPUSDT")


def test_a_link_opens_the_same_chart(
    page: Page, site: str, open_context: Callable[..., BrowserContext]
) -> None:
    page.goto(site)
    page.get_by_label("Symbol", exact=True).fill("NASDAQ:AAPL")
    page.get_by_label("15 minutes").check(force=True)
    page.get_by_label("Bars", exact=True).fill("800")
    page.get_by_role("button", name="Fetch", exact=True).click()
    expect_bars(page, "NASDAQ:AAPL")
    page.get_by_label("Chart type").select_option("heikin-ashi")
    page.get_by_label("Logarithmic").check(force=True)
    page.get_by_label("Times in").select_option("exchange")
    page.get_by_role("button", name="Indicators").click()
    page.get_by_label("RSI", exact=True).check()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="5D").click()
    expect(page).to_have_url(re.compile("from="))

    other = open_context().new_page()
    other.goto(page.url)

    expect_bars(other, "NASDAQ:AAPL")
    assert other.url == page.url
    assert query_of(other)["studies"] == "rsi:14"
    assert other.get_by_label("Chart type").input_value() == "heikin-ashi"
    expect(other.get_by_label("Logarithmic")).to_be_checked()
    expect(other.locator("#legend-values")).to_have_text(
        page.locator("#legend-values").text_content() or ""
    )
    # To the hour in New York, whatever the season.
    expect(other.locator(".legend-time")).to_have_text(re.compile(r"15:45 UTC−[45]$"))


def test_a_second_symbol_is_drawn_over_the_first(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=NASDAQ:AAPL&timeframe=1D&n_bars=300")
    expect_bars(page, "NASDAQ:AAPL")

    page.get_by_role("button", name="Indicators").click()
    page.get_by_label("Compare with").fill("binance:btcusdt")
    page.get_by_label("Compare with").press("Enter")

    expect(page.locator("#legend-studies")).to_contain_text("BINANCE:BTCUSDT")
    expect(page.get_by_label("Percent", exact=True)).to_be_checked()
    assert query_of(page)["compare"] == "BINANCE:BTCUSDT"


def test_the_second_symbol_is_found_as_one_types(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&timeframe=1D&n_bars=300")
    expect_bars(page, "BINANCE:BTCUSDT")

    page.get_by_role("button", name="Indicators").click()
    page.get_by_label("Compare with").press_sequentially("apple")
    expect(page.get_by_role("option").filter(has_text="Apple Inc.").first).to_be_visible()
    page.keyboard.press("Escape")
    # The list is closed, and not the menu.
    expect(page.locator("#compare-list")).to_be_hidden()
    page.keyboard.press("ArrowDown")
    page.get_by_role("option").filter(has_text="Apple Inc.").first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    expect(page.locator("#legend-studies")).to_contain_text(":AAPL")
    expect(page.locator("#studies")).to_be_visible()
    assert query_of(page)["compare"].endswith(":AAPL")


def test_day_breaks_are_drawn_on_request(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=NASDAQ:AAPL&timeframe=15&n_bars=300")
    expect_bars(page, "NASDAQ:AAPL")

    before = page.locator("#chart").screenshot()

    page.get_by_role("button", name="Indicators").click()
    page.get_by_label("Day breaks and missing bars").check()
    page.keyboard.press("Escape")

    expect(page.locator("#studies")).to_be_hidden()
    assert query_of(page)["breaks"] == "1"
    assert page.locator("#chart").screenshot() != before


def test_a_newer_request_wins(page: Page, site: str) -> None:
    """The first request's answer comes last, and is not drawn."""
    held: list[Route] = []
    page.route(re.compile(r"/api/tv/ohlc\?symbol=BTCUSDT"), lambda route: held.append(route))
    page.goto(f"{site}/?symbol=BTCUSDT&exchange=BINANCE&n_bars=200")
    expect(page.locator("#overlay-busy")).to_be_visible()

    page.get_by_label("Symbol", exact=True).fill("BINANCE:SOLUSDT")
    page.get_by_label("Symbol", exact=True).press("Enter")
    expect_bars(page, "BINANCE:SOLUSDT")
    # The browser has dropped the first request, so there is nobody left to answer.
    assert len(held) == 1
    assert held[0].request.failure
    held[0].abort()

    page.go_back()
    expect(page.get_by_label("Symbol", exact=True)).to_have_value("BTCUSDT")
    page.go_forward()
    expect_bars(page, "BINANCE:SOLUSDT")


def test_progress_is_shown_and_can_be_cancelled(page: Page, site: str) -> None:
    """A fetch that takes long shows how it gets on; the reply's form is the API's own."""
    row = {
        "state": "running", "attempts": 1, "count": 1200, "n_bars": 5000, "ahead": 0,
        "error": None, "next_attempt_at": None, "allowed_at": None,
    }  # fmt: skip
    page.route(
        "**/api/tv/ohlc?*",
        lambda route: route.fulfill(
            status=202, json=row, headers={"Location": "/api/tv/fetches/7"}
        ),
    )
    waits = {"count": 0, "allowed_at": (datetime.now(UTC) + timedelta(seconds=600)).isoformat()}
    found = iter([row | waits, row | waits])
    page.route(
        "**/api/tv/fetches/7",
        lambda route: route.fulfill(json=next(found, row | {"count": 3400})),
    )
    page.goto(f"{site}/?symbol=BINANCE:ADAUSDT")

    expect(page.locator("#busy-step")).to_have_text(
        re.compile(r"Waiting for its turn to call TradingView: about (59\d|600) s\.")
    )
    expect(page.locator("#busy-step")).to_have_text("Received 3,400 of 5,000 bars.")
    page.keyboard.press("Escape")

    expect(page.locator("#overlay-busy")).to_be_hidden()
    expect(page.locator("#overlay-empty")).to_be_visible()


def test_a_price_near_two_hundred_thousandths_is_readable(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=BINANCE:SHIBUSDT&n_bars=200")

    expect_bars(page, "BINANCE:SHIBUSDT")
    expect(page.locator("#legend-values")).to_contain_text(re.compile(r"C 0\.0000\d{4}"))


def test_bars_without_volume_have_no_volume_pane(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=SP:SPX&timeframe=1D&n_bars=200")

    expect_bars(page, "SP:SPX")
    expect(page.locator("#legend-values")).to_contain_text("Vol none")


def test_no_request_leaves_the_host(page: Page, site: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))

    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=300&studies=sma:20,rsi:14")
    expect_bars(page, "BINANCE:BTCUSDT")
    page.get_by_role("button", name="Dark theme").click()
    page.get_by_role("button", name="Save the chart as an image").click()

    hosts = {urlsplit(url).netloc for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {urlsplit(site).netloc}


def test_a_strict_content_security_policy_breaks_nothing(page: Page, site: str) -> None:
    violations: list[str] = []
    page.on(
        "console",
        lambda message: violations.append(message.text) if message.type == "error" else None,
    )

    def with_policy(route: Route) -> None:
        response = route.fetch()
        route.fulfill(
            response=response, headers=response.headers | {"content-security-policy": STRICT_POLICY}
        )

    page.route(re.compile(r"/\?symbol="), with_policy)
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=300&studies=bb:20:2")
    expect_bars(page, "BINANCE:BTCUSDT")
    page.get_by_role("button", name="Indicators").click()
    page.get_by_role("button", name="Keyboard shortcuts").click()

    assert violations == []
    assert page.locator("#tv-attr-logo").bounding_box()["width"] == 35  # type: ignore[index]


def test_the_keyboard_alone_is_enough(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=300")
    expect_bars(page, "BINANCE:BTCUSDT")
    newest = page.locator(".legend-time").inner_text()

    page.locator("#chart").focus()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".legend-time")).not_to_have_text(newest)
    expect(page.locator("#status")).to_contain_text("open")

    page.keyboard.press("c")
    assert page.get_by_label("Chart type").input_value() == "bars"
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("Keyboard shortcuts")
    page.keyboard.press("Escape")
    page.keyboard.press("/")
    expect(page.get_by_label("Symbol", exact=True)).to_be_focused()


def test_a_symbol_is_found_as_one_types(page: Page, site: str) -> None:
    page.goto(site)

    page.get_by_label("Symbol", exact=True).press_sequentially("apple")
    option = page.get_by_role("option").filter(has_text="Apple Inc.").first
    expect(option).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#symbol-list [aria-selected=true]")).to_have_count(1)
    option.click()

    expect(page.locator("#legend-name")).to_contain_text("Apple Inc.")


def test_the_theme_chosen_is_remembered(page: Page, site: str) -> None:
    page.goto(site)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.get_by_role("button", name="Dark theme").click()
    page.reload()

    expect(page.get_by_role("button", name="Dark theme")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(
    "query", ["", "?symbol=BINANCE:BTCUSDT&n_bars=300&studies=rsi:14", "?symbol=NONE"]
)
def test_axe_finds_nothing_serious(
    theme: str, query: str, site: str, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(color_scheme=theme).new_page()
    page.goto(f"{site}/{query}")
    state = "#overlay-problem" if "NONE" in query else "#legend" if query else "#overlay-empty"
    expect(page.locator(state)).to_be_visible()
    page.locator("#newest").evaluate("details => { details.open = true }")

    assert serious_findings(page) == []


# What the plan says holds on a machine that does nothing else: this one runs the stack, and other
# tests. So the figures are logged (`--log-cli-level=INFO`), and only what is far from them fails.
PAINTED = """
() => new Promise((found) => {
  const observer = new PerformanceObserver((list) => {
    const [measure] = list.getEntriesByName("painted");
    if (measure) found(measure.toJSON());
  });
  observer.observe({ type: "measure", buffered: true });
})
"""
COUNT_FRAMES = """
() => {
  window.frameTimes = [];
  let before = null;
  requestAnimationFrame(function next(now) {
    if (before !== null) window.frameTimes.push(now - before);
    before = now;
    requestAnimationFrame(next);
  });
}
"""


def test_forty_thousand_bars_draw_and_pan_quickly(page: Page, site: str) -> None:
    address = f"{site}/?symbol=LOAD:PAGE&timeframe=5&n_bars=40000"
    page.goto(address)
    expect(page.locator("#legend-symbol")).to_have_text("LOAD:PAGE", timeout=60_000)

    page.goto("about:blank")
    page.goto(address)
    expect(page.locator("#legend-symbol")).to_have_text("LOAD:PAGE")
    drawn_ms = page.evaluate(PAINTED)["duration"]
    box = page.locator("#chart").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 200, box["y"] + 200)
    page.mouse.down()
    page.evaluate(COUNT_FRAMES)
    page.mouse.move(box["x"] + 900, box["y"] + 200, steps=80)
    frames = sorted(page.evaluate("window.frameTimes"))
    page.mouse.up()

    median_ms = frames[len(frames) // 2]
    logger.info("40,000 bars: painted after %.0f ms", drawn_ms)
    logger.info("a pan over them: %.1f ms a frame, at most %.1f ms", median_ms, frames[-1])
    assert drawn_ms < 4000
    assert median_ms < 100
    # It has moved, to older bars.
    expect(page).to_have_url(re.compile("&from="))


def test_the_first_candles_of_a_cached_dataset_come_soon(
    page: Page,
    site: str,
    open_context: Callable[..., BrowserContext],
) -> None:
    address = f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=5000"
    page.goto(address)
    expect_bars(page, "BINANCE:BTCUSDT")

    cold = open_context().new_page()
    cold.goto(address)
    painted = cold.evaluate(PAINTED)

    # Counted from the click on the link.
    seen_ms = painted["startTime"] + painted["duration"]
    logger.info("first candles after %.0f ms", seen_ms)
    assert seen_ms < 5000


@pytest.mark.parametrize(
    ("name", "theme", "is_phone"),
    [
        ("chart-light", "light", False),
        ("chart-dark", "dark", False),
        ("chart-phone-light", "light", True),
        ("chart-phone-dark", "dark", True),
    ],
)
def test_the_page_looks_right_in(
    name: str, theme: str, is_phone: bool, site: str, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(viewport=PHONE if is_phone else DESKTOP, color_scheme=theme).new_page()

    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=3000&studies=sma:20,ema:21,rsi:14")
    expect_bars(page, "BINANCE:BTCUSDT")

    save_screenshot(page, name)
