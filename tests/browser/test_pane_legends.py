"""The names and values of studies in the corners of their panes, in a real browser against the real stack."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, FloatRect, Page, expect

from tests.browser.conftest import PHONE, serious_findings
from tests.support.chart_axes import RECORD
from tests.support.chart_reader import expect_bars, pane_legend, query_of

SERIES = "symbol=NASDAQ:AAPL&timeframe=1D&n_bars=300"
STUDIES = "bb:20:2,rsi:14,rsi:7,macd:12:26:9"
# The element of each pane is a row of a table, as the public `getHTMLElement` of the library returns it.
PLACED = """() => {
  const rows = [...document.querySelectorAll("#chart table tr")].filter((row) => row.cells.length === 3).slice(0, -1);
  const plots = rows.map((row) => row.cells[1].getBoundingClientRect());
  const legends = [...document.querySelectorAll(".pane-legend")];
  return legends.length > 0 && legends.every((legend) => {
    const box = legend.getBoundingClientRect();
    const plot = plots[legend.dataset.pane];
    const isCorner = Math.abs(box.top - plot.top - 3) < 1 && Math.abs(box.left - plot.left - 12) < 1;
    return isCorner && box.height >= 16 && box.bottom <= plot.bottom && box.right <= plot.right;
  });
}"""


def open_chart(page: Page, site: str, *, rest: str = "", studies: str = STUDIES) -> None:
    page.goto(f"{site}/?{SERIES}&studies={studies}{rest}")
    expect_bars(page, "NASDAQ:AAPL")
    page.wait_for_function(PLACED)


def box_of(page: Page, selector: str) -> FloatRect:
    box = page.locator(selector).bounding_box()
    assert box is not None
    return box


@pytest.mark.parametrize("scale", ["linear", "percent"])
def test_each_pane_names_its_studies_with_the_values_under_the_crosshair(
    scale: str, page: Page, site: str
) -> None:
    open_chart(page, site, rest=f"&scale={scale}")
    names = pane_legend(page, 2).locator(".legend-study-name")
    expect(names).to_have_text(["RSI 14", "RSI 7"])
    expect(pane_legend(page, 3)).to_have_text(
        re.compile(r"^MACD 12 26 9 [−\d.]+  [−\d.]+  [−\d.]+$")
    )
    expect(page.locator("#legend-studies .legend-study-name")).to_have_text(["BB 20 2"])
    newest = pane_legend(page, 2).inner_text()
    # A value has the colour of its line; the second line of MACD is faint.
    colors = pane_legend(page, 3).evaluate(
        "legend => [...legend.querySelectorAll('.legend-study-name, .number span')].map((node) => getComputedStyle(node).color)"
    )
    assert colors[0] == colors[1] != colors[2]

    page.locator("#chart").hover(position={"x": 400, "y": 150})

    expect(pane_legend(page, 2)).not_to_have_text(newest)
    page.mouse.move(5, 5)
    expect(pane_legend(page, 2)).to_have_text(newest.replace("\n", ""))


def test_the_legends_stay_in_their_panes_when_these_change_their_size(
    page: Page, site: str
) -> None:
    open_chart(page, site)
    before = box_of(page, ".pane-legend[data-pane='3']")
    # The separator above the pane of MACD is dragged up.
    chart = box_of(page, "#chart")
    edge = before["y"] - 4
    page.mouse.move(chart["x"] + 300, edge)
    page.mouse.down()
    page.mouse.move(chart["x"] + 300, edge - 15, steps=3)
    page.mouse.up()
    page.wait_for_function(PLACED)
    assert before["y"] - box_of(page, ".pane-legend[data-pane='3']")["y"] == pytest.approx(
        15, abs=3
    )

    page.get_by_role("button", name="Full screen").click()
    expect(page.locator(".site-header")).to_be_hidden()
    page.wait_for_function(PLACED)
    page.get_by_role("button", name="Full screen").click()
    # A study without a pane of its own, one pane less, another theme, another symbol without volume.
    page.get_by_role("button", name="Indicators").click()
    page.get_by_label("MACD", exact=True).uncheck()
    expect(pane_legend(page, 3)).to_have_count(0)
    page.keyboard.press("Escape")
    page.keyboard.press("t")
    page.wait_for_function(PLACED)
    page.get_by_label("Symbol", exact=True).fill("SP:SPX")
    page.get_by_label("Symbol", exact=True).press("Enter")
    expect_bars(page, "SP:SPX")
    expect(pane_legend(page, 1)).to_contain_text("RSI 14")
    page.wait_for_function(PLACED)


def test_a_study_that_is_drawn_nowhere_says_why_in_the_legend_over_the_prices(
    page: Page, site: str
) -> None:
    page.goto(f"{site}/?symbol=SP:SPX&timeframe=1D&n_bars=300&studies=volume:20,rsi:14")
    expect_bars(page, "SP:SPX")

    expect(page.locator("#legend-studies")).to_have_text("Volume average 20 needs bars with volume")
    expect(page.locator(".pane-legend")).to_have_count(1)


def test_a_press_on_the_legend_of_a_pane_moves_the_bars(page: Page, site: str) -> None:
    open_chart(page, site)
    legend = box_of(page, ".pane-legend[data-pane='2']")
    page.mouse.move(legend["x"] + 20, legend["y"] + 8)
    page.mouse.down()
    page.mouse.move(legend["x"] + 220, legend["y"] + 8, steps=4)
    page.mouse.up()

    expect(page).to_have_url(re.compile("&from="))
    assert int(query_of(page)["to"]) > 0


@pytest.mark.parametrize(("width", "theme"), [(360, "light"), (390, "dark")])
def test_the_legends_fit_into_the_panes_of_a_phone_and_axe_finds_nothing_serious(
    width: int, theme: str, site: str, open_context: Callable[..., BrowserContext]
) -> None:
    viewport = {"width": width, "height": PHONE["height"]}
    page = open_context(viewport=viewport, color_scheme=theme).new_page()
    open_chart(page, site)

    expect(pane_legend(page, 2).locator(".legend-study")).to_have_count(2)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert serious_findings(page) == []


def test_a_saved_picture_names_the_studies_in_their_panes(page: Page, site: str) -> None:
    page.add_init_script(RECORD)
    open_chart(page, site)
    legends = page.locator(".pane-legend").all_inner_texts()
    heights = page.evaluate(
        "[...document.querySelectorAll('.pane-legend')].map((legend) => legend.offsetTop)"
    )

    with page.expect_download():
        page.get_by_role("button", name="Save the chart as an image").click()

    # The canvas that was painted last is the picture.
    texts = page.evaluate("[...window.painted.values()].at(-1).texts")
    written = {item["text"]: item["y"] for item in texts}
    for legend, top in zip(legends, heights, strict=True):
        words = [word for word in re.split(r"\s{2,}|\n| (?=[−\d.]+(?:  |\n|$))", legend) if word]
        head = {round(written[word] - top) for word in words}
        assert len(head) == 1, (words, head)
    assert "BB 20 2" in written
