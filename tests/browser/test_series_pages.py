"""The pages of series, in a real browser against the real stack."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import DESKTOP, FETCH_MS, PHONE, save_screenshot, serious_findings
from tests.browser.test_lists import sign_in

# Other tests share the site: only these tests use bars of 3 hours of NASDAQ.
SERIES = [
    "symbol=NASDAQ:MSFT&timeframe=3h&n_bars=200", "symbol=NASDAQ:AAPL&timeframe=3h&n_bars=600",
    "symbol=NASDAQ:AAPL&timeframe=3h&n_bars=6000",
]  # fmt: skip


@pytest.fixture(scope="module")
def archived(site: str, browser: Browser) -> str:
    """The site, with two series; one has two datasets."""
    context = browser.new_context()
    for series in SERIES:
        assert context.request.get(f"{site}/api/tv/ohlc?{series}&wait=60", timeout=FETCH_MS).ok
    context.close()
    return site


def test_a_series_is_found_and_opened_and_leads_to_its_datasets(page: Page, archived: str) -> None:
    page.goto(f"{archived}/datasets/?timeframe=3h")
    page.get_by_role("link", name="Series", exact=True).click()
    page.get_by_label("Timeframe").select_option("3h")
    page.get_by_label("Search").fill("nasdaq")
    expect(page.locator("#series-rows tr")).to_have_count(2)
    page.get_by_label("Search").fill("apple")
    expect(page.locator("#series-rows tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"q=apple&timeframe=3h$"))

    page.get_by_role("link", name="NASDAQ:AAPL", exact=True).click()

    expect(page.locator(".held")).to_have_text(re.compile(r"^You hold 6,\d{3} bars from 20"))
    expect(page.locator(".coverage rect").first).to_be_visible()
    expect(page.get_by_text("None: no later fetch")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("link", name=re.compile(r"^20\d\d\.parquet$")).first.click()
    assert download.value.suggested_filename.startswith("NASDAQ_AAPL_3h_20")
    page.get_by_role("link", name="the newest 600 bars").click()
    expect(page.get_by_text("A view of the newest bars of")).to_be_visible()
    page.get_by_role("link", name="NASDAQ:AAPL 3h", exact=True).click()
    expect(page.get_by_role("heading", name="Coverage by year")).to_be_visible()


def test_the_list_of_series_works_without_javascript(
    archived: str, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(java_script_enabled=False).new_page()
    page.goto(f"{archived}/series/?timeframe=3h")

    page.get_by_label("Search").fill("microsoft")
    page.get_by_role("button", name="Filter").click()

    expect(page.locator("#series-rows tr")).to_have_count(1)
    page.get_by_role("link", name="Bars held").click()
    expect(page.locator("[aria-sort=descending]")).to_have_text("Bars held↓")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_the_pages_of_series_fit_and_axe_finds_nothing_serious(
    theme: str, device: str, archived: str, open_context: Callable[..., BrowserContext]
) -> None:
    viewport = PHONE if device == "phone" else DESKTOP
    page = open_context(viewport=viewport, color_scheme=theme).new_page()
    sign_in(page, archived, "/series/?timeframe=3h")
    kind = f"{'phone-' if device == 'phone' else ''}{theme}"

    assert serious_findings(page) == []
    page.get_by_role("link", name="NASDAQ:AAPL", exact=True).click()
    save_screenshot(page, f"series-{kind}")
    assert serious_findings(page) == []
    for address in [page.url, f"{archived}/series/?timeframe=3h"]:
        page.goto(address)
        for width in [320, 390, 760, 900, 1081, 1280]:
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)


def test_the_page_of_a_missing_series_links_to_the_list(page: Page, archived: str) -> None:
    reply = page.goto(f"{archived}/series/987654/")

    assert reply is not None and reply.status == 404
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no series 987654")
    assert serious_findings(page) == []
    page.get_by_role("link", name="All series").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Series")
