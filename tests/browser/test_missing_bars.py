"""The bands of missing bars: a switch in the menu, the reasons, and their number in words."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, Page, Request, ViewportSize, expect

from tests.browser.conftest import DESKTOP, PHONE, serious_findings
from tests.support.chart_reader import band_pixels, expect_bars, query_of

# An instrument of the sample feed that has days without trade.
HOLED = "?symbol=NYSE:BRK.A&timeframe=1D&n_bars=500"
REPORT = re.compile(r"/api/tv/datasets/\d+/gaps$")


def watch_reports(page: Page) -> list[str]:
    """Return a list that collects the address of each request for a gap report."""
    asked: list[str] = []

    def note(request: Request) -> None:
        if REPORT.search(request.url):
            asked.append(request.url)

    page.on("request", note)
    return asked


def switch(page: Page) -> None:
    """Press the switch in the menu."""
    page.get_by_role("button", name="Indicators").click()
    page.get_by_label("Missing bars").click()
    page.keyboard.press("Escape")
    expect(page.locator("#studies")).to_be_hidden()


def report_of(page: Page, address: str) -> dict[str, Any]:
    report: dict[str, Any] = page.request.get(address).json()
    return report


def test_the_switch_draws_a_band_for_each_range_with_one_request(page: Page, site: str) -> None:
    asked = watch_reports(page)
    page.goto(site + HOLED)
    expect_bars(page, "NYSE:BRK.A")
    assert (len(band_pixels(page)), asked) == (0, [])

    switch(page)
    page.locator("#chart").press("Home")

    note = page.locator("#legend-gaps")
    expect(note).to_have_text(re.compile(r"^\d+ ranges of missing bars\.$"))
    expect(page.locator("#status")).to_have_text(note.inner_text())
    n_findings = report_of(page, asked[0])["n_findings"]
    assert note.inner_text().startswith(f"{n_findings} ranges")
    # Two edges of each band, over more than half of the pane's height.
    assert len(band_pixels(page)) > n_findings * 2 * 150
    assert query_of(page)["gaps"] == "1"
    switch(page)
    expect(note).to_be_hidden()
    assert len(band_pixels(page)) == 0
    assert "gaps" not in query_of(page)
    switch(page)
    expect(note).to_be_visible()
    page.get_by_label("Chart type").select_option("line")
    assert len(band_pixels(page)) > 0
    assert len(asked) == 1


def test_the_arrow_keys_lead_to_the_reason_of_a_gap(page: Page, site: str) -> None:
    asked = watch_reports(page)
    page.goto(f"{site}/{HOLED}&gaps=1")
    expect_bars(page, "NYSE:BRK.A")
    expect(page.locator("#legend-gaps")).to_contain_text("ranges of missing bars")
    newest = report_of(page, asked[0])["findings"][-1]

    status = page.locator("#status")
    for _ in range(500):
        page.locator("#chart").press("ArrowLeft")
        if newest["reason"] in status.inner_text():
            break

    sentence = re.compile(
        rf"session missing: 1 bar is missing, \w{{3}}, .* \d\d:\d\d UTC.* – .*\. {re.escape(newest['reason'])}"
    )
    expect(status).to_have_text(sentence)
    expect(page.locator("#legend-gaps")).to_have_text(sentence)


def test_the_pointer_near_a_band_shows_its_reason(page: Page, site: str) -> None:
    page.goto(f"{site}/{HOLED}&gaps=1")
    expect_bars(page, "NYSE:BRK.A")
    note = page.locator("#legend-gaps")
    expect(note).to_contain_text("ranges of missing bars")
    chart = page.locator("#chart").bounding_box()
    assert chart is not None

    page.mouse.move(max(band_pixels(page)) + 4, chart["y"] + 200)

    expect(note).to_contain_text("session missing: 1 bar is missing")
    page.mouse.move(0, 0)
    expect(note).to_contain_text("ranges of missing bars")


def test_a_made_timeframe_shows_the_gaps_of_its_base(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=NYSE:BRK.A&timeframe=2D&n_bars=200&gaps=1")

    expect_bars(page, "NYSE:BRK.A")
    expect(page.locator("#legend-gaps")).to_contain_text("of missing bars")
    page.locator("#chart").press("Home")
    assert len(band_pixels(page)) > 0


def test_a_dataset_without_gaps_says_so(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=NASDAQ:AAPL&timeframe=1D&n_bars=300&gaps=1")

    expect_bars(page, "NASDAQ:AAPL")
    expect(page.locator("#legend-gaps")).to_have_text("No missing bars.")


def test_a_failed_report_says_so_leaves_the_bars_and_is_loaded_by_the_next_press(
    page: Page, site: str
) -> None:
    page.route(REPORT, lambda route: route.abort(), times=1)
    page.goto(f"{site}/{HOLED}&gaps=1")

    expect_bars(page, "NYSE:BRK.A")
    failed = "Missing bars are not shown: This service does not answer."
    expect(page.locator("#legend-gaps")).to_contain_text(failed)
    expect(page.locator("#status")).to_contain_text(failed)
    switch(page)
    switch(page)
    expect(page.locator("#legend-gaps")).to_contain_text("ranges of missing bars")


@pytest.mark.parametrize(
    ("viewport", "theme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"]
)
def test_the_bands_are_accessible_in_both_themes(
    viewport: ViewportSize,
    theme: str,
    site: str,
    open_context: Callable[..., BrowserContext],
) -> None:
    page = open_context(viewport=viewport, color_scheme=theme).new_page()
    page.goto(f"{site}/{HOLED}&gaps=1")
    expect_bars(page, "NYSE:BRK.A")
    note = page.locator("#legend-gaps")
    expect(note).to_contain_text("ranges of missing bars")
    height = page.locator("#chart").evaluate("chart => chart.clientHeight")
    for _ in range(60):
        page.locator("#chart").press("ArrowLeft")
        if "session missing" in note.inner_text():
            break

    expect(note).to_contain_text("session missing: 1 bar is missing")
    # The reason does not move the chart.
    # The height is a fraction of a pixel, which is rounded.
    assert abs(page.locator("#chart").evaluate("chart => chart.clientHeight") - height) <= 1
    assert len(band_pixels(page, theme)) > 150
    assert serious_findings(page) == []
