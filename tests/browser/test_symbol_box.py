"""The symbol box: symbols without an exchange, few searches, and messages for failed searches."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, Request, Route, expect

from tests.browser.conftest import serious_findings
from tests.support.chart_reader import bars_reply, expect_bars, query_of

SYMBOL = "#symbol-list [role=option]"


def match(symbol: str, exchange: str, description: str = "") -> dict[str, str]:
    full_symbol = f"{exchange}:{symbol}"
    return {
        "full_symbol": full_symbol, "symbol": symbol, "exchange": exchange,
        "description": description, "type": "spot", "currency": "USDT",
    }  # fmt: skip


def found(*matches: dict[str, str], has_more: bool = False) -> dict[str, Any]:
    return {"symbols": list(matches), "has_more": has_more, "next_start": None}


def watch(page: Page) -> list[str]:
    """Return a list that collects the text of each search."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/api/tv/symbols" in request.url:
            asked.append(parse_qs(urlsplit(request.url).query)["query"][0])

    page.on("request", note)
    return asked


def test_a_symbol_without_its_exchange_offers_its_matches_and_enter_takes_the_best(
    page: Page, site: str
) -> None:
    page.goto(site)
    box = page.get_by_label("Symbol", exact=True)
    box.fill("btcusd")

    box.press("Enter")

    expect(page.locator(f"{SYMBOL}[aria-selected=true] .option-symbol")).to_have_text("BTCUSD")
    expect(page.locator("#symbol-list")).to_have_attribute("data-heading", re.compile("Choose one"))
    expect(page.locator("#overlay-problem")).to_be_hidden()
    assert serious_findings(page) == []
    assert page.locator(SYMBOL).count() > 1
    place = page.locator(f"{SYMBOL}[aria-selected=true] .option-place").inner_text()
    box.press("Enter")
    expect_bars(page, f"{place.split(' · ')[-1]}:BTCUSD")


def test_a_symbol_with_a_single_exchange_is_chosen_at_once(page: Page, site: str) -> None:
    page.goto(site)
    page.get_by_label("Symbol", exact=True).fill("btcusdt")
    page.get_by_label("Symbol", exact=True).press("Enter")
    expect_bars(page, "BINANCE:BTCUSDT")

    page.get_by_label("Symbol", exact=True).fill("aapl")
    page.get_by_label("Exchange", exact=True).fill("")
    page.get_by_role("button", name="Fetch", exact=True).click()

    expect_bars(page, "NASDAQ:AAPL")
    assert query_of(page)["exchange"] == "NASDAQ"


def test_an_unknown_symbol_is_requested_as_typed_and_the_bars_stay(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=NASDAQ:AAPL&timeframe=1D&n_bars=200")
    expect_bars(page, "NASDAQ:AAPL")
    box = page.get_by_label("Symbol", exact=True)
    box.fill("nosuchthing")
    page.get_by_label("Exchange", exact=True).fill("")

    box.press("Enter")

    expect(page.locator("#problem-code")).to_have_text("invalid_request")
    expect(page.locator("#symbol-list")).to_have_attribute(
        "data-heading", re.compile("^Nothing found")
    )
    expect(page.get_by_label("Exchange", exact=True)).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#legend-symbol")).to_have_text("NASDAQ:AAPL")


def test_text_typed_during_a_load_stays(page: Page, site: str) -> None:
    held: list[Route] = []
    # The page requests a long fetch again; only the first request is held.
    page.route("**/api/tv/ohlc?*", lambda route: held.append(route), times=1)
    page.goto(site)
    box = page.get_by_label("Symbol", exact=True)
    box.fill("BINANCE:BTCUSDT")
    with page.expect_request(re.compile(r"/api/tv/ohlc\?symbol=BTCUSDT")):
        box.press("Enter")
    expect(page.locator("#overlay-busy")).to_be_visible()

    box.fill("eth")
    held.pop().continue_()

    expect_bars(page, "BINANCE:BTCUSDT")
    expect(box).to_have_value("eth")


def test_a_second_symbol_without_its_exchange_offers_its_matches(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=NASDAQ:AAPL&timeframe=1D&n_bars=200")
    expect_bars(page, "NASDAQ:AAPL")
    page.get_by_role("button", name="Compare").click()
    box = page.get_by_label("Compare with")
    box.fill("btcusd")

    box.press("Enter")

    expect(page.locator("#compare-list [aria-selected=true]")).to_contain_text("BTCUSD")
    box.press("Enter")
    expect(page.locator("#legend-studies")).to_contain_text(":BTCUSD")
    expect(page.locator("#compare-problem")).to_be_hidden()


def test_a_complete_answer_needs_no_further_search(page: Page, site: str) -> None:
    apples = [match("AAPL", "NASDAQ", "Apple Inc."), match("APLE", "NYSE", "Apple Hospitality")]
    page.route("**/api/tv/symbols?*", lambda route: route.fulfill(json=found(*apples)))
    page.goto(site)
    asked = watch(page)
    box = page.get_by_label("Symbol", exact=True)

    box.press_sequentially("app")
    expect(page.locator(SYMBOL)).to_have_count(2)
    box.press_sequentially("le ")
    box.press_sequentially("hos")
    expect(page.locator(SYMBOL)).to_have_count(1)
    for _ in range(4):
        box.press("Backspace")
    expect(page.locator(SYMBOL)).to_have_count(2)

    assert asked == ["app"]


def test_one_search_runs_at_a_time_and_the_newest_text_is_next(page: Page, site: str) -> None:
    held: list[Route] = []
    newest = found(match("BTCUSDT", "BINANCE"))

    def answer(route: Route) -> None:
        # Only the first search needs a wait.
        if "query=b&" in route.request.url:
            held.append(route)
        else:
            route.fulfill(json=newest)

    page.route("**/api/tv/symbols?*", answer)
    page.goto(site)
    asked = watch(page)
    box = page.get_by_label("Symbol", exact=True)
    for letter in "btcu":
        with page.expect_event("console", lambda message: message.text == "typed"):
            box.press(letter)
            # Slow typing: longer than the box waits for the next letter.
            page.evaluate("setTimeout(() => console.log('typed'), 350)")
    assert asked == ["b"]

    held.pop().fulfill(json=found(match("BTCUSD", "BITSTAMP"), has_more=True))

    expect(page.locator(SYMBOL)).to_have_count(1)
    assert asked == ["b", "btcu"]


def test_a_paused_search_shows_the_remaining_time_and_continues_by_itself(
    page: Page, site: str
) -> None:
    problem = {
        "title": "",
        "detail": "Too many searches.",
        "code": "rate_limited",
        "retryable": True,
    }
    page.route(
        "**/api/tv/symbols?*",
        lambda route: route.fulfill(
            status=503, body=json.dumps(problem),
            headers={"Retry-After": "2", "Content-Type": "application/problem+json"},
        ),
        times=1,
    )  # fmt: skip
    page.goto(site)
    asked = watch(page)

    page.get_by_label("Symbol", exact=True).press_sequentially("apple")

    said = page.locator("#symbol-list")
    expect(said).to_have_attribute("data-heading", re.compile(r"paused; it continues in [12] s\."))
    expect(page.locator("#status")).to_contain_text("The search is paused")
    # Text typed meanwhile starts no search; the search continues with that text.
    page.get_by_label("Symbol", exact=True).press_sequentially(" inc")
    expect(page.get_by_role("option").filter(has_text="Apple Inc.").first).to_be_visible()
    assert asked == ["apple", "apple inc"]


def test_a_search_without_an_answer_tells_the_user_to_type_the_symbol(
    page: Page, site: str
) -> None:
    page.route("**/api/tv/symbols?*", lambda route: route.abort())
    page.goto(site)

    page.get_by_label("Symbol", exact=True).press_sequentially("apple")

    said = page.locator("#symbol-list")
    expect(said).to_have_attribute("data-heading", re.compile("does not answer.*BINANCE:BTCUSDT"))


def test_links_keep_ampersands_and_plus_signs(page: Page, site: str) -> None:
    for typed, full_symbol in [
        ("nse:m&m", "NSE:M&M"),
        ("BINANCE:BTCUSDT+BINANCE:ETHUSDT", "BINANCE:BTCUSDT+BINANCE:ETHUSDT"),
    ]:
        page.goto(site)
        page.get_by_label("Bars", exact=True).fill("200")
        page.get_by_label("Symbol", exact=True).fill(typed)
        page.get_by_label("Symbol", exact=True).press("Enter")
        expect_bars(page, full_symbol)

        page.goto(page.url)

        expect_bars(page, full_symbol)
        address = page.locator("#downloads a[data-format=csv]").get_attribute("href")
        assert page.request.get(f"{site}{address}").text().startswith("time,open")
        page.goto(f"{site}/?symbol=NASDAQ:AAPL&timeframe=1D&n_bars=200")
        expect_bars(page, "NASDAQ:AAPL")
        page.get_by_label("Symbol", exact=True).click()
        page.locator(SYMBOL).filter(has_text=full_symbol.split(":", 1)[1]).first.click()
        expect_bars(page, full_symbol)


def test_a_symbol_outside_ascii_is_requested_as_typed(page: Page, site: str) -> None:
    asked: list[str] = []

    def answer(route: Route) -> None:
        query = parse_qs(urlsplit(route.request.url).query)
        asked.append(f"{query['exchange'][0]}:{query['symbol'][0]}")
        reply = bars_reply([1.0 + i / 100 for i in range(60)], description="bianrensheng")
        route.fulfill(json=reply | {"exchange": "BINANCE", "symbol": query["symbol"][0]})

    page.route("**/api/tv/ohlc?*", answer)
    page.goto(site)
    # Letters outside ASCII stay: their capital letters could name another symbol.
    page.get_by_label("Symbol", exact=True).fill("binance:币安人生ſusdt.p")
    page.get_by_label("Symbol", exact=True).press("Enter")
    expect_bars(page, "BINANCE:币安人生ſUSDT.P")

    page.goto(page.url)
    expect_bars(page, "BINANCE:币安人生ſUSDT.P")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the chart as an image").click()

    assert set(asked) == {"BINANCE:币安人生ſUSDT.P"}
    assert download.value.suggested_filename == "BINANCE_币安人生ſUSDT.P_1h.png"
