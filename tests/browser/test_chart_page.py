"""The chart page in a real browser, against the real web server, worker and sample feed."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import BrowserContext, Page, Route, ViewportSize, expect

from datasets.errors import FetchError, all_codes
from tests.browser.conftest import DESKTOP, PHONE, save_screenshot, serious_findings
from tests.support.chart_reader import bars_reply, expect_bars, facts_of, pane_legend, query_of

logger = logging.getLogger(__name__)

# The content security policy. The hash belongs to the one <style> element of the chart library, for
# its attribution.
STRICT_POLICY = (
    "default-src 'none'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; style-src 'self' 'sha256-3pRED1tOXas1FXFoPb9TGCjmYe9XQsmO9OV23khV2nY='"
)


def test_typing_a_symbol_and_enter_leads_to_candles(page: Page, site: str) -> None:
    page.goto(site)
    expect(page.locator("#overlay-empty")).to_be_visible()

    page.get_by_label("Symbol", exact=True).fill("binance:ethusdt")
    page.get_by_label("Bars", exact=True).fill("311")
    page.get_by_label("Symbol", exact=True).press("Enter")

    expect_bars(page, "BINANCE:ETHUSDT")
    assert query_of(page) == {
        "symbol": "ETHUSDT",
        "exchange": "BINANCE",
        "timeframe": "1h",
        "n_bars": "311",
    }
    facts = facts_of(page)
    assert facts["Source"] == "Sample feed (synthetic)"
    assert (facts["Bars"], facts["Timeframe"], facts["Feed"]) == ("311", "1h", "BINANCE:ETHUSDT")
    assert re.fullmatch(r"a new fetch, done in \d+\.\d s", facts["From"])
    # The search for the typed text has ended.
    expect(page.locator("#symbol-list")).to_be_hidden()
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


def test_an_unknown_symbol_shows_its_sentence_without_try_again(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=NOSUCHTHING&exchange=BINANCE")

    expect(page.locator("#problem-code")).to_have_text("symbol_not_found")
    expect(page.get_by_role("alert")).to_contain_text("NOSUCHTHING")
    expect(page.get_by_role("button", name="Try again")).to_be_hidden()


def test_a_symbol_on_the_wrong_exchange_or_on_none_leads_to_the_right_one(
    page: Page, site: str
) -> None:
    page.goto(f"{site}/?symbol=NASDAQ:BTCUSDT")
    expect(page.locator("#problem-code")).to_have_text("symbol_not_found")
    expect(page.locator("#symbol-list")).to_contain_text("BINANCE")

    page.goto(f"{site}/?symbol=AAPL")
    expect(page.get_by_label("Exchange", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.get_by_label("Symbol", exact=True)).to_be_focused()
    expect(page.locator("#symbol-list")).to_contain_text("Apple Inc.")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    expect_bars(page, "NASDAQ:AAPL")


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


def test_every_error_shows_its_sentence_and_try_again_only_where_that_helps(
    page: Page, site: str
) -> None:
    problem: dict[str, object] = {"title": "Fetch failed"}
    page.route(
        "**/api/tv/ohlc?*",
        lambda route: route.fulfill(
            status=500, content_type="application/problem+json", body=json.dumps(problem)
        ),
    )
    for error in FETCH_ERRORS:
        sentence = f"The sentence of {error.code}."
        problem.update(detail=sentence, code=error.code, retryable=error.retryable)

        page.goto(f"{site}/?symbol=BINANCE:BTCUSDT")

        expect(page.get_by_role("alert")).to_contain_text(sentence)
        # The error's own heading, not the general title of the reply.
        expect(page.locator("#problem-title")).not_to_have_text("Fetch failed")
        expect(page.locator("#problem-retry")).to_be_visible(visible=error.retryable)


def test_a_temporary_failure_offers_try_again(page: Page, site: str) -> None:
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


def test_a_failed_fetch_leaves_the_chart_unchanged(page: Page, site: str) -> None:
    problem = {"title": "", "detail": "The feed is down.", "code": "feed_unreachable", "retryable": True}  # fmt: skip
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=300")
    expect_bars(page, "BINANCE:BTCUSDT")
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.fulfill(status=500, content_type="application/problem+json", body=json.dumps(problem))

    page.route("**/api/tv/ohlc?*use_cache=false*", refuse)
    page.get_by_role("button", name="Fetch again").click()
    expect(page.get_by_role("alert")).to_contain_text("The feed is down.")
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_role("button", name="Back to the chart")).to_be_visible()

    page.get_by_role("button", name="Back to the chart").click()

    # The retry was a new fetch, not a read of the cache.
    assert len(asked) == 2
    expect_bars(page, "BINANCE:BTCUSDT")
    assert facts_of(page)["Bars"] == "300"
    # The button with the focus has disappeared.
    expect(page.locator("#chart")).to_be_focused()


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
    # The clock of New York, in every season; while its market is open the newest bar is of this hour.
    expect(other.locator(".legend-time")).to_have_text(
        re.compile(r"(09|1[0-5]):(00|15|30|45) UTC−[45]$")
    )


def test_a_second_symbol_is_drawn_over_the_first(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=NASDAQ:AAPL&timeframe=1D&n_bars=300&scale=log")
    expect_bars(page, "NASDAQ:AAPL")

    page.get_by_role("button", name="Compare").click()
    expect(page.get_by_label("Compare with")).to_be_focused()
    page.get_by_label("Compare with").fill("binance:btcusdt")
    page.get_by_label("Compare with").press("Enter")

    expect(page.locator("#legend-studies")).to_contain_text("BINANCE:BTCUSDT")
    expect(page.get_by_label("Percent", exact=True)).to_be_checked()
    assert query_of(page)["compare"] == "BINANCE:BTCUSDT"

    page.get_by_role("button", name="Compare").click()
    page.get_by_label("Compare with").fill("")
    page.get_by_label("Compare with").press("Enter")
    # Without the second symbol the old scale returns.
    expect(page.get_by_label("Logarithmic")).to_be_checked()
    expect(page.locator("#legend-studies")).to_have_text("")


def test_the_second_symbol_is_found_while_the_user_types(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&timeframe=1D&n_bars=300")
    expect_bars(page, "BINANCE:BTCUSDT")

    page.get_by_role("button", name="Indicators").click()
    page.get_by_label("Compare with").press_sequentially("apple")
    expect(page.get_by_role("option").filter(has_text="Apple Inc.").first).to_be_visible()
    page.keyboard.press("Escape")
    # The list closes; the menu stays open.
    expect(page.locator("#compare-list")).to_be_hidden()
    page.keyboard.press("ArrowDown")
    page.get_by_role("option").filter(has_text="Apple Inc.").first.wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")

    expect(page.locator("#legend-studies")).to_contain_text(":AAPL")
    expect(page.locator("#studies")).to_be_visible()
    assert query_of(page)["compare"].endswith(":AAPL")


def test_a_second_symbol_that_fails_shows_the_reason(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=300&compare=BINANCE:NOSUCH")

    expect_bars(page, "BINANCE:BTCUSDT")
    expect(page.locator("#legend-studies")).to_contain_text("does not know BINANCE:NOSUCH")


MEAN_HEIGHT = """
(wanted) => {
  let [sum, count] = [0, 0];
  for (const canvas of document.querySelectorAll("#chart canvas")) {
    const { width, height } = canvas;
    if (!width || !height) continue;
    const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
    for (let i = 0; i < pixels.length; i += 4) {
      if (![0, 1, 2].every((part) => Math.abs(pixels[i + part] - wanted[part]) < 8) || pixels[i + 3] < 250) continue;
      [sum, count] = [sum + Math.floor(i / 4 / width), count + 1];
    }
  }
  return sum / count;
}
"""


@pytest.mark.parametrize("scale", ["linear", "log", "percent"])
def test_an_average_stays_with_its_bars_on_every_scale(scale: str, page: Page, site: str) -> None:
    """Also in percent, where the first value of the average differs from that of the bars."""
    page.route(
        "**/api/tv/ohlc?*", lambda route: route.fulfill(json=bars_reply([100.0] + [300.0] * 59))
    )
    page.goto(f"{site}/?symbol=TEST:FLAT&scale={scale}&studies=sma:2")
    expect_bars(page, "TEST:FLAT")

    average = page.evaluate(MEAN_HEIGHT, [0xC2, 0x41, 0x0C])
    last_price = page.evaluate(MEAN_HEIGHT, [0x0B, 0x7F, 0x70])

    assert average == pytest.approx(last_price, abs=4)


def test_a_name_from_the_feed_is_not_markup(page: Page, site: str) -> None:
    hostile = "<img src=x onerror='window.isHit = true'>"
    reply = bars_reply([1.0] * 30, description=hostile, pro_name=hostile, full_name="X:Y")
    found = {"symbol": hostile, "exchange": hostile, "description": hostile, "type": hostile}
    page.route("**/api/tv/ohlc?*", lambda route: route.fulfill(json=reply | {"symbol": hostile}))
    page.route("**/api/tv/symbols?*", lambda route: route.fulfill(json={"symbols": [found]}))
    page.goto(f"{site}/?symbol=FLAT&compare=OTHER&n_bars=30")
    expect(page.locator("#legend-name")).to_contain_text(hostile)

    page.get_by_label("Symbol", exact=True).press_sequentially("img")

    expect(page.locator("#symbol-list [role=option]")).to_contain_text(hostile)
    assert page.locator("main img").count() == 0
    assert page.evaluate("window.isHit") is None


def test_an_invalid_parameter_of_a_study_is_corrected(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=300&studies=sma:20")
    expect_bars(page, "BINANCE:BTCUSDT")
    page.get_by_role("button", name="Indicators").click()
    period = page.get_by_label("Moving average: period").first

    for typed, mended in [("5000", "1000"), ("", "20"), ("7.4", "7")]:
        period.fill(typed)
        period.press("Tab")
        expect(page.locator("#legend-studies")).to_contain_text(f"SMA {mended}")
        expect(period).to_have_value(mended)


def test_the_menu_works_in_full_screen(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=300")
    expect_bars(page, "BINANCE:BTCUSDT")

    page.keyboard.press("f")
    expect(page.get_by_role("button", name="Full screen")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("i")
    page.get_by_label("RSI", exact=True).check()

    expect(pane_legend(page, 2)).to_contain_text("RSI 14")


def test_the_visible_range_is_in_the_address_after_the_mouse_is_released_anywhere(
    page: Page, site: str
) -> None:
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=3000")
    expect_bars(page, "BINANCE:BTCUSDT")
    box = page.locator("#chart").bounding_box()
    assert box is not None

    page.mouse.move(box["x"] + 300, box["y"] + 100)
    page.mouse.down()
    page.mouse.move(box["x"] + 700, box["y"] + 100, steps=4)
    page.mouse.move(box["x"] + 700, 5, steps=2)
    page.mouse.up()
    expect(page).to_have_url(re.compile("&from="))

    page.locator("#chart").focus()
    page.keyboard.press("End")
    expect(page).not_to_have_url(re.compile("&from="))


def test_the_visible_range_of_other_bars_is_not_kept(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=3000")
    expect_bars(page, "BINANCE:BTCUSDT")
    page.locator("#chart").hover()
    page.mouse.wheel(0, 300)
    expect(page).to_have_url(re.compile("&from="))
    page.route(re.compile(r"/api/tv/ohlc\?symbol=LTCUSDT"), lambda route: None)

    # Faster than a person can do it.
    page.evaluate(ZOOM_AND_ASK, "BINANCE:LTCUSDT")

    # After this time the last movement of the chart would be in the address.
    expect(page.locator("#overlay-busy")).to_be_visible()
    assert query_of(page)["symbol"] == "LTCUSDT"
    assert "from" not in query_of(page)


ZOOM_AND_ASK = """
(symbol) => {
  const form = document.getElementById("fetch-form");
  document.getElementById("chart").dispatchEvent(new KeyboardEvent("keydown", { key: "-", bubbles: true }));
  const ask = () => {
    form.elements.symbol.value = symbol;
    form.requestSubmit();
  };
  requestAnimationFrame(() => requestAnimationFrame(ask));
}
"""


def test_session_breaks_are_drawn_on_request(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=NASDAQ:AAPL&timeframe=15&n_bars=300")
    expect_bars(page, "NASDAQ:AAPL")

    before = page.locator("#chart").screenshot()

    page.get_by_role("button", name="Indicators").click()
    page.get_by_label("Session breaks and gaps").check()
    page.keyboard.press("Escape")

    expect(page.locator("#studies")).to_be_hidden()
    assert query_of(page)["breaks"] == "1"
    assert page.locator("#chart").screenshot() != before


def test_a_newer_request_wins(page: Page, site: str) -> None:
    """The reply to the first request arrives last and is not drawn."""
    held: list[Route] = []
    page.route(re.compile(r"/api/tv/ohlc\?symbol=BTCUSDT"), lambda route: held.append(route))
    page.goto(f"{site}/?symbol=BTCUSDT&exchange=BINANCE&n_bars=200")
    expect(page.locator("#overlay-busy")).to_be_visible()

    page.get_by_label("Symbol", exact=True).fill("BINANCE:SOLUSDT")
    page.get_by_label("Symbol", exact=True).press("Enter")
    expect_bars(page, "BINANCE:SOLUSDT")
    # The browser has aborted the first request, so the reply has no receiver.
    assert len(held) == 1
    assert held[0].request.failure
    held[0].abort()

    page.go_back()
    expect(page.get_by_label("Symbol", exact=True)).to_have_value("BTCUSDT")
    page.go_forward()
    expect_bars(page, "BINANCE:SOLUSDT")


def test_progress_is_shown_and_can_be_cancelled(page: Page, site: str) -> None:
    """A slow fetch shows its progress; the replies have the form of the API."""
    row = {
        "state": "running", "attempts": 1, "count": 1200, "n_bars": 5000, "ahead": 0, "fetched_ms": 0,
        "error": None, "next_attempt_at": None, "allowed_at": None,
    }  # fmt: skip
    page.route(
        "**/api/tv/ohlc?*",
        lambda route: route.fulfill(
            status=202, json=row, headers={"Location": "/api/tv/fetches/7"}
        ),
    )
    waits = {"count": 0, "allowed_at": (datetime.now(UTC) + timedelta(seconds=600)).isoformat()}
    found = iter([row | {"state": "queued", "ahead": 2}, row | waits, row | {"count": 3400}])
    stored = row | {"count": 5000, "fetched_ms": 900}
    page.route("**/api/tv/fetches/7", lambda route: route.fulfill(json=next(found, stored)))
    page.add_init_script(NOTE_STEPS)
    page.goto(f"{site}/?symbol=BINANCE:ADAUSDT&timeframe=5")

    expect(page.locator("#busy-step")).to_have_text("Storing 5,000 bars.")
    assert re.fullmatch(
        r"(Waiting for the service\.\n)?Received 1,200 of 5,000 bars\.\nQueued: 2 fetches are before it\.\n"
        r"(Waiting for its turn to call TradingView: about (59\d|600) s\.\n)+"
        r"Received 3,400 of 5,000 bars\.\nStoring 5,000 bars\.",
        page.evaluate("window.steps.join('\\n')"),
    )
    expect(page.locator("#busy-title")).to_have_text("Loading BINANCE:ADAUSDT 5m")
    page.keyboard.press("Escape")

    expect(page.locator("#overlay-busy")).to_be_hidden()
    expect(page.locator("#overlay-empty")).to_be_visible()


# Records every step that was shown, also for a short time.
NOTE_STEPS = """
window.steps = [];
// The first step can be shown before the page is loaded.
new MutationObserver(() => {
  const step = document.getElementById("busy-step")?.textContent;
  if (step && window.steps.at(-1) !== step) window.steps.push(step);
}).observe(document, { childList: true, subtree: true });
"""


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


def test_a_symbol_is_found_while_the_user_types(page: Page, site: str) -> None:
    page.goto(site)

    page.get_by_label("Symbol", exact=True).press_sequentially("apple")
    option = page.get_by_role("option").filter(has_text="Apple Inc.").first
    expect(option).to_be_visible()
    page.keyboard.press("ArrowDown")
    expect(page.locator("#symbol-list [aria-selected=true]")).to_have_count(1)
    option.click()
    expect(page.locator("#legend-name")).to_contain_text("Apple Inc.")

    page.get_by_label("Symbol", exact=True).fill("")
    page.get_by_label("Symbol", exact=True).press_sequentially("binance:btcusdt")
    expect(page.get_by_role("option").filter(has_text="Bitcoin").first).to_be_visible()
    expect(page.locator("#status")).to_contain_text(re.compile(r"\d symbols?\."))
    page.get_by_label("Symbol", exact=True).press("Enter")
    # The overlay has disappeared with the problem.
    expect(page.locator("#symbol-list")).to_be_hidden()
    expect_bars(page, "BINANCE:BTCUSDT")
    page.get_by_label("Symbol", exact=True).fill("zzzzzz")
    expect(page.locator("#status")).to_contain_text("Nothing found.")
    expect(page.locator("#symbol-list")).to_be_visible()


def test_symbols_and_choices_are_remembered(page: Page, site: str) -> None:
    for series in ["BINANCE:BTCUSDT&n_bars=300", "NASDAQ:AAPL&timeframe=1D&n_bars=250"]:
        page.goto(f"{site}/?symbol={series}")
        expect_bars(page, series.split("&")[0])
    page.get_by_label("Chart type").select_option("area")

    page.goto(site)

    expect(page.locator("#suggestions button")).to_have_text(["NASDAQ:AAPL", "BINANCE:BTCUSDT"])
    expect(page.get_by_label("1 day")).to_be_checked()
    expect(page.get_by_label("Bars", exact=True)).to_have_value("250")
    expect(page.get_by_label("Chart type")).to_have_value("area")
    page.get_by_label("Symbol", exact=True).click()
    expect(page.locator("#symbol-list [role=option]")).to_have_count(2)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect_bars(page, "BINANCE:BTCUSDT")
    assert query_of(page)["n_bars"] == "250"


def test_the_theme_chosen_is_remembered(page: Page, site: str) -> None:
    page.goto(site)
    light = page.evaluate("getComputedStyle(document.body).backgroundColor")

    page.get_by_role("button", name="Dark theme").click()
    page.reload()

    expect(page.get_by_role("button", name="Dark theme")).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light
    page.get_by_role("button", name="Dark theme").click()
    # The theme equals the system's again, so the page follows the system.
    page.emulate_media(color_scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") != light


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("query", ["", "?symbol=NONE"])
def test_axe_finds_nothing_serious(
    theme: str, query: str, site: str, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(color_scheme=theme).new_page()
    page.goto(f"{site}/{query}")
    expect(page.locator("#overlay-problem" if query else "#overlay-empty")).to_be_visible()

    assert serious_findings(page) == []


@pytest.mark.parametrize(("theme", "window"), [("light", DESKTOP), ("dark", PHONE)])
def test_axe_finds_nothing_serious_in_menus_and_dialogs(
    theme: str, window: ViewportSize, site: str, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(color_scheme=theme, viewport=window).new_page()
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=300&studies=sma:20,bb:20:2,vwap,rsi:14")
    expect_bars(page, "BINANCE:BTCUSDT")

    page.get_by_text("Newest bars as a table").click()
    for opening, opened in [("i", "#studies"), ("?", "#shortcuts"), ("/", "#symbol")]:
        page.keyboard.press(opening)
        expect(page.locator(opened)).to_be_visible()
        if opening == "/":
            page.keyboard.press("ArrowDown")
            expect(page.locator("#symbol-list")).to_be_visible()
        assert serious_findings(page) == []
        page.keyboard.press("Escape")
    page.get_by_role("button", name="Options").click()
    assert serious_findings(page) == []


# The goals hold on an idle machine. This machine runs the stack and other tests, so the figures are
# logged (`--log-cli-level=INFO`), and only values far from the goals fail.
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


def draw_again(page: Page, address: str) -> float:
    """Load the chart again; return the milliseconds from the arrival of the bars to their painting."""
    page.goto("about:blank")
    page.goto(address)
    expect(page.locator("#legend-symbol")).to_have_text("LOAD:PAGE")
    painted_ms: float = page.evaluate(PAINTED)["duration"]
    return painted_ms


def test_forty_thousand_bars_draw_and_pan_quickly(page: Page, site: str) -> None:
    address = f"{site}/?symbol=LOAD:PAGE&timeframe=5&n_bars=40000"
    page.goto(address)
    expect(page.locator("#legend-symbol")).to_have_text("LOAD:PAGE", timeout=60_000)

    drawn_ms = min(draw_again(page, address) for _ in range(3))
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
    assert drawn_ms < 2000
    assert median_ms < 50
    # The chart has moved to older bars.
    expect(page).to_have_url(re.compile("&from="))


def test_the_candles_of_a_cached_dataset_appear_soon(
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

    # Measured from the click on the link.
    seen_ms = painted["startTime"] + painted["duration"]
    logger.info("first candles after %.0f ms", seen_ms)
    assert seen_ms < 5000


NOTE_SHIFTS = """
window.shifts = [];
const elementOf = ({ node }) => (node instanceof Element ? node : node?.parentElement);
// The state of a fetch, over the chart, is in the middle: its words move when they change.
const isOther = (element) => !element?.closest(".overlay");
new PerformanceObserver((list) => list.getEntries().forEach(({ value, sources }) => {
  const moved = sources.map(elementOf).filter(isOther);
  if (moved.length) window.shifts.push([value, moved.map((element) => element?.outerHTML.slice(0, 60))]);
})).observe({ type: "layout-shift", buffered: true });
"""


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
    page.add_init_script(NOTE_SHIFTS)

    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=3000&studies=sma:20,ema:21,rsi:14")
    expect_bars(page, "BINANCE:BTCUSDT")

    save_screenshot(page, name)
    # No element moves: not while the page arrives, and not when the bars do.
    assert page.evaluate("window.shifts") == []


SMALL_CONTROLS = """
() => [...document.querySelectorAll("a, button, select, input, summary")]
  .filter((control) => control.checkVisibility() && control.getBoundingClientRect().width > 1)
  .filter((control) => !control.closest("#chart, .segments"))
  .filter((control) => {
    const { left, right, height } = control.getBoundingClientRect();
    return height < 24 || left < 0 || right > innerWidth;
  })
  .map((control) => control.id || control.textContent.trim())
"""


def test_a_phone_of_360_pixels_has_every_control_in_reach(
    site: str, open_context: Callable[..., BrowserContext]
) -> None:
    viewport: ViewportSize = {"width": 360, "height": 740}
    page = open_context(viewport=viewport, has_touch=True, is_mobile=True).new_page()
    page.add_init_script(NOTE_SHIFTS)

    page.goto(
        f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=3000&studies=sma:20,ema:50,macd:12:26:9,rsi:14"
    )
    expect_bars(page, "BINANCE:BTCUSDT")

    assert page.evaluate(SMALL_CONTROLS) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    # Each toolbar is as low as its lines: one above the chart, two below it.
    heights = page.evaluate(
        "[...document.querySelectorAll('.toolbar')].map((bar) => bar.getBoundingClientRect().height)"
    )
    assert heights[0] < 50
    assert heights[1] < 90
