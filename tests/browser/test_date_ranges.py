"""A range of dates on the chart page: the form, the link, the coverage, and the lines to copy."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import DESKTOP, FETCH_MS, PHONE, save_screenshot, serious_findings
from tests.support.chart_reader import expect_bars, facts_of, query_of

# Other tests share the site: only these tests use bars of 4 hours of these symbols.
SERIES = "symbol=BINANCE:BTCUSDT&timeframe=4h"
TODAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def day(days_ago: int) -> str:
    return f"{TODAY - timedelta(days=days_ago):%Y-%m-%d}"


@pytest.fixture(scope="module")
def archived(site: str, browser: Browser) -> str:
    """The site, with 3,000 bars of 4 hours, which are 500 days."""
    context = browser.new_context()
    assert context.request.get(
        f"{site}/api/tv/ohlc?{SERIES}&n_bars=3000&wait=60", timeout=FETCH_MS
    ).ok
    context.close()
    return site


def test_dates_in_the_form_draw_the_range_and_stay_in_the_link(
    page: Page, archived: str, open_context: Callable[..., BrowserContext]
) -> None:
    page.goto(f"{archived}/?{SERIES}&n_bars=300")
    expect_bars(page, "BINANCE:BTCUSDT")

    page.get_by_label("From", exact=True).fill(day(400))
    page.get_by_label("Before", exact=True).fill(day(380))
    expect(page.get_by_label("Bars", exact=True)).to_be_disabled()
    page.get_by_role("button", name="Fetch", exact=True).click()

    expect(page.locator("#chart")).to_have_attribute("aria-label", re.compile(r", 120 bars"))
    named = {"symbol": "BTCUSDT", "exchange": "BINANCE", "timeframe": "4h"}
    assert query_of(page) == named | {"start": day(400), "end": day(380)}
    facts = facts_of(page)
    assert facts["Covered"] == "the whole range is held"
    assert facts["Range"] == f"{day(400)} 00:00 – {day(381)} 20:00 UTC"
    csv = page.get_by_role("link", name="CSV").get_attribute("href") or ""
    assert (f"start={day(400)}" in csv, f"end={day(380)}" in csv, "n_bars" in csv) == (
        True,
        True,
        False,
    )
    assert re.search(
        r"/series/\d+/$", page.get_by_role("link", name="Details").get_attribute("href") or ""
    )

    other = open_context().new_page()
    other.goto(page.url)
    expect_bars(other, "BINANCE:BTCUSDT")
    expect(other.get_by_label("From", exact=True)).to_have_value(day(400))
    expect(other.locator("#chart")).to_have_attribute("aria-label", re.compile(r", 120 bars"))


def test_the_lines_to_copy_follow_the_range(page: Page, archived: str) -> None:
    page.goto(f"{archived}/?{SERIES}&start={day(400)}&end={day(380)}")
    expect_bars(page, "BINANCE:BTCUSDT")

    page.get_by_text("Lines to copy").click()

    loader = page.get_by_role("region", name="Python")
    expect(loader).to_have_text(
        "from tvdatasets import load\n"
        f'bars = load("BINANCE:BTCUSDT", "4h", start="{day(400)}", end="{day(380)}", source="sample")'
    )
    command = page.get_by_role("region", name="curl").inner_text()
    address = re.search(r"'(http[^']+)'", command)
    assert address is not None
    rows = page.request.get(address[1]).text().splitlines()
    assert (len(rows), rows[1][:10], rows[-1][:10]) == (121, day(400), day(381))
    page.goto(f"{archived}/?{SERIES}&n_bars=300")
    expect_bars(page, "BINANCE:BTCUSDT")
    page.get_by_text("Lines to copy").click()
    expect(loader).to_contain_text('"4h", n_bars=300, source="sample")')


def test_a_range_that_begins_before_the_archive_says_where_the_bars_begin(
    page: Page, archived: str
) -> None:
    page.goto(f"{archived}/?{SERIES}&start=2000-01-01&end={day(450)}")

    expect_bars(page, "BINANCE:BTCUSDT")
    assert re.fullmatch(
        r"The first bar that is held opened at 20\d\d-\d\d-\d\d \d\d:00 UTC\.",
        facts_of(page)["Covered"],
    )


def test_a_range_without_bars_says_what_is_held(page: Page, archived: str) -> None:
    page.goto(f"{archived}/?{SERIES}&start=2000-01-01&end=2000-02-01")

    expect(page.get_by_role("alert")).to_contain_text("No bars in this range")
    expect(page.locator("#problem-detail")).to_contain_text("The bars that are held open from 20")
    expect(page.get_by_label("From", exact=True)).to_have_attribute("aria-invalid", "true")


def test_a_link_with_a_time_of_the_day_keeps_it(page: Page, archived: str) -> None:
    start = f"{day(400)}T12:00"
    page.goto(f"{archived}/?{SERIES}&start={start}&end={day(380)}")

    expect_bars(page, "BINANCE:BTCUSDT")
    expect(page.get_by_label("From", exact=True)).to_have_value(start)
    assert facts_of(page)["Bars"] == "117"


def test_without_dates_the_number_of_bars_counts_again(page: Page, archived: str) -> None:
    page.goto(f"{archived}/?{SERIES}&start={day(400)}&end={day(380)}")
    expect_bars(page, "BINANCE:BTCUSDT")

    page.get_by_label("From", exact=True).fill("")
    page.get_by_label("Before", exact=True).fill("")
    page.get_by_label("Bars", exact=True).fill("200")
    page.get_by_label("Bars", exact=True).press("Enter")

    expect(page.locator("#chart")).to_have_attribute("aria-label", re.compile(r", 200 bars"))
    assert "start" not in query_of(page)


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_the_form_with_dates_fits_and_axe_finds_nothing_serious(
    theme: str, device: str, archived: str, open_context: Callable[..., BrowserContext]
) -> None:
    viewport = PHONE if device == "phone" else DESKTOP
    page = open_context(viewport=viewport, color_scheme=theme).new_page()
    page.goto(f"{archived}/?{SERIES}&start=2019-01-01&end={day(380)}")
    expect_bars(page, "BINANCE:BTCUSDT")
    save_screenshot(page, f"range-{'phone-' if device == 'phone' else ''}{theme}")
    page.get_by_text("Lines to copy").click()

    assert serious_findings(page) == []
    for width in [320, 390, 760, 900, 1100, 1280]:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width
