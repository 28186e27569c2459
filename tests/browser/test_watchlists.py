"""The pages of watchlists, in a real browser against the real stack."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import DESKTOP, PHONE, save_screenshot, serious_findings
from tests.browser.test_lists import sign_in
from tests.support.chart_reader import expect_bars
from tests.support.stacks import wait_until

# Other tests share the site: only these tests use these series of 45 minutes.
SYMBOLS = "###Crypto\nBINANCE:BTCUSDT\nBINANCE:ETHUSDT\n###Shares\nNASDAQ:AAPL,NASDAQ:MSFT\n"


def make_list(page: Page, name: str) -> None:
    """Make a list of 45 minutes, as a person without JavaScript can."""
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("1D", exact=True).uncheck(force=True)
    page.get_by_label("45m", exact=True).check(force=True)
    page.get_by_label("Bars of the first fetch").fill("300")
    page.get_by_role("button", name="Make the list").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


@pytest.fixture(scope="session")
def followed(site: str, browser: Browser) -> str:
    """The address of a list whose series have been fetched."""
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    sign_in(page, site, "/watchlists/")
    make_list(page, "Followed")
    page.get_by_label("Paste symbols").fill(SYMBOLS)
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.locator("#watched-rows tr")).to_have_count(4)
    address = page.url
    # The sweep of the worker fetches them; each reload shows the present state.
    expect_after_reloads(page, lambda: page.locator("#watched-rows").inner_text().count("300 bars") == 4)  # fmt: skip
    context.close()
    return address


def expect_after_reloads(page: Page, is_there: Callable[[], bool]) -> None:
    """Reload the page until the condition holds."""

    def is_there_now() -> bool:
        page.reload()
        return is_there()

    wait_until(is_there_now, seconds=60, what="the expected state of the page")


def test_a_list_is_made_and_its_series_are_fetched_without_javascript(
    followed: str, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(java_script_enabled=False).new_page()
    page.goto(followed)

    expect(page.locator("#watched-rows tr")).to_have_count(4)
    expect(page.locator("#watched-rows tr").first).to_contain_text("Crypto")
    expect(page.locator("#watched-rows .col-outcome").first).to_contain_text("Succeeded")
    expect(page.locator("#watched-rows .col-run time").first).to_be_visible()
    page.get_by_role("link", name="BINANCE:BTCUSDT", exact=True).click()
    expect(page.locator(".held")).to_contain_text("You hold 300 bars")


def test_wrong_lines_are_named_beside_the_text(page: Page, site: str) -> None:
    sign_in(page, site, "/watchlists/")
    make_list(page, "Wrong lines")

    page.get_by_label("Paste symbols").fill("NASDAQ:AAPL\nMSFT\n")
    page.get_by_role("button", name="Add", exact=True).click()

    expect(page.get_by_role("alert")).to_contain_text("Line 2: 'MSFT'")
    expect(page.get_by_label("Paste symbols")).to_have_attribute("aria-invalid", "true")
    assert serious_findings(page) == []
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator(".message-success")).to_contain_text("The list Wrong lines is deleted")


def test_a_symbol_of_the_chart_is_added_to_a_list(page: Page, site: str, followed: str) -> None:
    sign_in(page, site, "/watchlists/")
    page.goto(f"{site}/?symbol=BINANCE:LTCUSDT&timeframe=45&n_bars=300")
    expect_bars(page, "BINANCE:LTCUSDT")

    page.get_by_role("link", name="Add to watchlist").click()
    expect(page.get_by_label("Symbol")).to_have_value("BINANCE:LTCUSDT")
    page.get_by_label("Watchlist", exact=True).select_option("")
    page.get_by_label("Name of a new list").fill("From the chart")
    assert serious_findings(page) == []
    page.get_by_role("button", name="Add", exact=True).click()

    expect(page.locator("#watched-rows tr")).to_have_count(1)
    expect(page.locator("#watched-rows")).to_contain_text("45m")
    page.get_by_role("link", name=re.compile("^Chart of BINANCE:LTCUSDT")).click()
    expect_bars(page, "BINANCE:LTCUSDT")


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_the_pages_of_watchlists_fit_and_axe_finds_nothing_serious(
    theme: str, device: str, site: str, followed: str, open_context: Callable[..., BrowserContext]
) -> None:
    viewport = PHONE if device == "phone" else DESKTOP
    page = open_context(viewport=viewport, color_scheme=theme).new_page()
    sign_in(page, site, "/watchlists/")
    kind = f"{'phone-' if device == 'phone' else ''}{theme}"

    assert serious_findings(page) == []
    save_screenshot(page, f"watchlists-{kind}")
    page.goto(followed)
    assert serious_findings(page) == []
    save_screenshot(page, f"watchlist-{kind}")
    for address in [followed, f"{site}/watchlists/"]:
        page.goto(address)
        for width in [320, 390, 760, 900, 1081, 1280]:
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)


def test_the_panel_beside_the_chart_shows_last_prices_and_opens_symbols_by_keyboard(
    followed: str, site: str, page: Page
) -> None:
    number = re.search(r"/watchlists/(\d+)", followed)
    assert number is not None
    quotes = page.request.get(f"{site}/api/tv/watchlists/{number[1]}/quotes?timeframe=45m").json()[
        "results"
    ]
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&timeframe=45m&n_bars=300")
    expect_bars(page, "BINANCE:BTCUSDT")

    page.get_by_role("button", name="Watchlist", exact=True).click()
    page.get_by_label("Symbols of", exact=True).select_option("Followed")

    rows = page.get_by_role("listbox", name="Symbols of the list").get_by_role("option")
    expect(rows).to_have_count(4)
    expect(rows.nth(0)).to_have_attribute("aria-selected", "true")
    for at, quote in enumerate(quotes):
        expect(rows.nth(at)).to_contain_text(quote["symbol"])
        expect(rows.nth(at)).to_contain_text(f"{quote['close']:,.2f}")
        share = f"{quote['change_percent']:+.2f}%".replace("-", "−")
        expect(rows.nth(at)).to_contain_text(share.replace("+0.00", "0.00"))
    rows.nth(0).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect_bars(page, "BINANCE:ETHUSDT")
    expect(rows.nth(1)).to_have_attribute("aria-selected", "true")
    assert serious_findings(page) == []
    page.reload()
    expect(rows).to_have_count(4)
    page.get_by_label("Symbols of", exact=True).select_option("Recent symbols")
    expect(rows.nth(0)).to_have_text("ETHUSDT")
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    page.keyboard.press("w")
    expect(rows).to_have_count(0)
