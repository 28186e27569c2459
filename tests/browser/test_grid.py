"""Several charts in one page, saved layouts, and full screen, in a real browser against the real stack."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import BrowserContext, FrameLocator, Page, Route, expect

from tests.browser.conftest import DESKTOP, PHONE, save_screenshot, serious_findings
from tests.browser.test_lists import sign_in
from tests.support.chart_reader import expect_bars, query_of

BTC = "symbol=BTCUSDT%26exchange=BINANCE%26timeframe={}%26n_bars=300"
TWO = f"/grid/?charts=2&a={BTC.format('1h')}&b={BTC.format('4h')}"


def chart(page: Page, number: int) -> FrameLocator:
    """The frame of a chart, counted from 1."""
    return page.frame_locator(f"iframe >> nth={number - 1}")


def expect_drawn(page: Page, number: int, name: str) -> None:
    """Wait until the chart shows bars of `EXCHANGE:SYMBOL timeframe`, and the title of its frame says so."""
    expect(page.locator("iframe").nth(number - 1)).to_have_attribute("title", f"Chart {number}: {name}")  # fmt: skip
    expect(chart(page, number).locator("#legend-symbol")).to_have_text(name.split()[0])


def time_of(page: Page, number: int) -> datetime:
    """The time of the bar in the legend."""
    text = chart(page, number).locator(".legend-time").inner_text()
    return datetime.strptime(text.strip(), "%a, %b %d, %Y %H:%M UTC").replace(tzinfo=UTC)


def test_the_charts_of_a_grid_have_one_crosshair_and_the_address_holds_them_all(
    page: Page, site: str
) -> None:
    page.goto(site + TWO)
    expect_drawn(page, 1, "BINANCE:BTCUSDT 1h")
    expect_drawn(page, 2, "BINANCE:BTCUSDT 4h")
    newest = time_of(page, 2)

    # The crosshair of the mouse: the bar of 4 hours that contains the bar of 1 hour.
    chart(page, 1).locator("#chart").hover(position={"x": 300, "y": 150})
    expect(chart(page, 2).locator(".legend-time")).not_to_contain_text(f"{newest:%b %-d, %Y %H:%M}")
    hour = time_of(page, 1)
    assert time_of(page, 2) == hour.replace(hour=hour.hour // 4 * 4)
    page.get_by_label("Same symbol in all").hover()
    expect(chart(page, 2).locator(".legend-time")).to_contain_text(f"{newest:%b %-d, %Y %H:%M}")

    # The crosshair of the keyboard, after a key has moved the focus to the other chart.
    page.locator("h1").press(".")
    expect(page.locator("iframe.is-current")).to_have_attribute("title", "Chart 2: BINANCE:BTCUSDT 4h")  # fmt: skip
    expect(chart(page, 2).locator("#chart")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    four = time_of(page, 2)
    assert four < newest
    expect(chart(page, 1).locator(".legend-time")).to_contain_text(f"{four:%H:%M}")
    assert time_of(page, 1) == four
    page.keyboard.press(",")
    expect(chart(page, 1).locator("#chart")).to_be_focused()

    # One symbol in all charts, each at its timeframe; then four charts, whose first two stay.
    page.get_by_label("Same symbol in all").check()
    symbol = chart(page, 1).get_by_label("Symbol", exact=True)
    symbol.fill("BINANCE:ETHUSDT")
    symbol.press("Enter")
    expect_drawn(page, 1, "BINANCE:ETHUSDT 1h")
    expect_drawn(page, 2, "BINANCE:ETHUSDT 4h")
    page.frames[1].evaluate("window.isTheSame = true")
    page.get_by_role("link", name="4", exact=True).click()
    expect(page.locator("iframe")).to_have_count(4)
    assert page.frames[1].evaluate("window.isTheSame")
    address = {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}
    assert (address["charts"], address["same_symbol"]) == ("4", "1")
    assert address["b"] == "symbol=ETHUSDT&exchange=BINANCE&timeframe=4h&n_bars=300"

    page.reload()
    expect_drawn(page, 2, "BINANCE:ETHUSDT 4h")
    expect(page.get_by_label("Same symbol in all")).to_be_checked()
    chart(page, 2).locator("#chart").click()
    page.get_by_role("link", name="1", exact=True).click()
    expect_bars(page, "BINANCE:ETHUSDT")
    assert query_of(page)["timeframe"] == "4h"


def query_of_chart(page: Page, number: int) -> dict[str, str]:
    """Return the query of a chart, as the address of the grid holds it."""
    (query,) = parse_qs(urlsplit(page.url).query)["abcd"[number - 1]]
    return {name: values[0] for name, values in parse_qs(query).items()}


def test_a_timeframe_chosen_in_one_chart_is_shown_in_all_and_the_address_keeps_the_link(
    page: Page, site: str
) -> None:
    eth = BTC.replace("BTC", "ETH").format("4h")
    page.goto(f"{site}/grid/?charts=2&a={BTC.format('1h')}&b={eth}")
    expect_drawn(page, 1, "BINANCE:BTCUSDT 1h")
    expect_drawn(page, 2, "BINANCE:ETHUSDT 4h")

    # The chart with the focus gives its timeframe to the others; each keeps its symbol.
    page.get_by_label("Same timeframe in all").check()
    expect_drawn(page, 2, "BINANCE:ETHUSDT 1h")
    chart(page, 2).locator(".field-timeframe label", has_text=re.compile("^2h$")).click()
    expect_drawn(page, 2, "BINANCE:ETHUSDT 2h")
    expect_drawn(page, 1, "BINANCE:BTCUSDT 2h")
    assert parse_qs(urlsplit(page.url).query)["same_timeframe"] == ["1"]
    assert [query_of_chart(page, number)["timeframe"] for number in (1, 2)] == ["2h", "2h"]

    # The address has the link; without it each chart has its own timeframe again.
    page.reload()
    expect_drawn(page, 2, "BINANCE:ETHUSDT 2h")
    expect(page.get_by_label("Same timeframe in all")).to_be_checked()
    page.get_by_label("Same symbol in all").check()
    expect_drawn(page, 2, "BINANCE:BTCUSDT 2h")
    page.get_by_label("Same timeframe in all").uncheck()
    chart(page, 1).locator(".field-timeframe label", has_text="4h").click()
    expect_drawn(page, 1, "BINANCE:BTCUSDT 4h")
    expect_drawn(page, 2, "BINANCE:BTCUSDT 2h")
    assert "same_timeframe" not in parse_qs(urlsplit(page.url).query)


def test_a_chart_whose_scripts_come_late_shows_the_timeframe_of_the_first_one(
    page: Page, site: str
) -> None:
    held: list[Route] = []

    def hold_second(route: Route) -> None:
        if "timeframe=4h" in route.request.frame.url:
            held.append(route)
        else:
            route.continue_()

    page.route("**/static/js/main.js", hold_second)
    page.goto(site + TWO + "&same_timeframe=1", wait_until="commit")
    expect_drawn(page, 1, "BINANCE:BTCUSDT 1h")

    for route in held:
        route.continue_()

    assert held
    expect_drawn(page, 2, "BINANCE:BTCUSDT 1h")


def test_a_link_between_charts_that_differ_shows_the_timeframe_of_the_first_one(
    page: Page, site: str
) -> None:
    page.goto(site + TWO + "&same_timeframe=1")

    expect_drawn(page, 1, "BINANCE:BTCUSDT 1h")
    expect_drawn(page, 2, "BINANCE:BTCUSDT 1h")
    # A new chart is empty until it gets a symbol; then it has the timeframe of the others.
    page.get_by_role("link", name="4", exact=True).click()
    symbol = chart(page, 3).get_by_label("Symbol", exact=True)
    symbol.fill("BINANCE:ETHUSDT")
    symbol.press("Enter")
    expect(page.locator("iframe").nth(2)).to_have_attribute("title", re.compile("BINANCE:ETHUSDT"))
    assert query_of_chart(page, 3)["timeframe"] == query_of_chart(page, 1)["timeframe"]


def test_a_layout_is_saved_by_name_and_opened_renamed_replaced_and_deleted(
    page: Page, site: str
) -> None:
    page.goto(site + TWO)
    page.get_by_role("button", name="Layouts").click()
    expect(page.get_by_text("The link is the whole layout")).to_be_visible()

    sign_in(page, site, "/account/")
    page.goto(site + TWO)
    expect_drawn(page, 2, "BINANCE:BTCUSDT 4h")
    page.get_by_label("Same timeframe in all").check()
    page.get_by_role("button", name="Layouts").click()
    expect(page.get_by_text("No saved layout yet.")).to_be_visible()
    page.get_by_label("Save these charts as").fill("Morning")
    page.keyboard.press("Enter")
    expect(page.get_by_role("link", name="Morning")).to_be_visible()
    page.get_by_label("Save these charts as").fill("Morning")
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("You have a layout 'Morning' already")
    page.get_by_role("button", name="Rename Morning").click()
    page.get_by_label("New name of “Morning”").fill("Evening")
    page.keyboard.press("Enter")
    evening = page.get_by_role("link", name="Evening")
    expect(evening).to_have_attribute("href", re.compile("&same_timeframe=1$"))

    # The chart page has the same menu: it replaces the layout by its one chart, and opens it.
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&timeframe=1h&n_bars=300")
    expect_bars(page, "BINANCE:BTCUSDT")
    page.get_by_role("button", name="Layout: 1, 2 or 4 charts").click()
    expect(page.locator("#layout-rows li")).to_contain_text("2 charts")
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Replace Evening").click()
    expect(page.locator("#layout-rows li")).to_contain_text("1 chart")
    page.get_by_role("link", name="2", exact=True).click()
    expect_drawn(page, 1, "BINANCE:BTCUSDT 1h")
    expect(page.locator("iframe")).to_have_count(2)
    page.get_by_role("button", name="Layouts").click()
    page.get_by_role("link", name="Evening").click()
    expect_bars(page, "BINANCE:BTCUSDT")
    page.get_by_role("button", name="Layout: 1, 2 or 4 charts").click()
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete Evening").click()
    expect(page.get_by_text("No saved layout yet.")).to_be_visible()


@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_symbol_and_timeframe_stay_reachable_in_full_screen(
    device: str, site: str, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(viewport=PHONE if device == "phone" else DESKTOP).new_page()
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&timeframe=1h&n_bars=300")
    expect_bars(page, "BINANCE:BTCUSDT")

    page.get_by_role("button", name="Full screen").click()
    expect(page.locator(".site-header")).to_be_hidden()
    page.get_by_label("Symbol", exact=True).fill("BINANCE:ETHUSDT")
    page.get_by_label("Symbol", exact=True).press("Enter")
    expect_bars(page, "BINANCE:ETHUSDT")
    page.locator(".field-timeframe label", has_text="4h").click()
    expect(page.locator("#legend-name")).to_contain_text("4h")
    expect_bars(page, "BINANCE:ETHUSDT")
    # The chart fills the window: nothing has to be scrolled.
    assert page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    assert serious_findings(page) == []

    page.get_by_role("button", name="Full screen").click()
    expect(page.locator(".site-header")).to_be_visible()
    assert query_of(page)["timeframe"] == "4h"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("device", "theme"), [("desktop", "dark"), ("tablet", "light"), ("phone", "light")]
)
def test_the_grid_fits_and_axe_finds_nothing_serious(
    theme: str, device: str, site: str, open_context: Callable[..., BrowserContext]
) -> None:
    viewport = {"desktop": DESKTOP, "tablet": {"width": 1024, "height": 768}, "phone": PHONE}
    page = open_context(viewport=viewport[device], color_scheme=theme).new_page()
    sign_in(page, site, "/account/")
    page.goto(site + TWO)
    expect_drawn(page, 1, "BINANCE:BTCUSDT 1h")
    expect_drawn(page, 2, "BINANCE:BTCUSDT 4h")

    assert serious_findings(page) == []
    for frame in page.frames[1:]:
        assert serious_findings(frame) == []
    save_screenshot(page, f"grid-{device}-{theme}")
    page.get_by_role("button", name="Layouts").click()
    assert serious_findings(page) == []
    # The button changes the theme of the charts in the frames too.
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Dark theme").click()
    other = "light" if theme == "dark" else "dark"
    expect(chart(page, 1).locator("html")).to_have_attribute("data-theme", other)
