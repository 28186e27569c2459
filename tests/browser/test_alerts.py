"""Price alerts beside the chart, in a real browser against the real stack."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.conftest import PHONE, serious_findings
from tests.support.chart_reader import expect_bars


def test_an_alert_is_made_beside_the_chart_paused_armed_and_deleted(page: Page, site: str) -> None:
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&timeframe=1h&n_bars=300")
    expect_bars(page, "BINANCE:BTCUSDT")
    page.keyboard.press("a")
    panel = page.get_by_role("complementary", name="Price alerts")
    price = panel.get_by_role("textbox", name="Price")
    # The last price is offered; a click on the chart sets another one.
    last = float(price.input_value())
    expect(panel.get_by_text("No alerts yet.")).to_be_visible()
    page.locator("#chart").click(position={"x": 300, "y": 40})
    expect(price).not_to_have_value(str(last))
    assert float(price.input_value()) > 0

    price.fill("much")
    panel.get_by_role("button", name="Add alert").click()
    expect(panel.get_by_role("alert")).to_contain_text("A valid number is required")
    price.fill("1234567.5")
    panel.get_by_role("combobox", name="Condition").select_option("above")
    panel.get_by_role("textbox", name="Note").fill("to the moon")
    panel.get_by_role("button", name="Add alert").click()

    row = panel.get_by_role("listitem")
    expect(row).to_contain_text("BINANCE:BTCUSDT 1h above 1,234,567.5")
    expect(row).to_contain_text("to the moon")
    expect(row).to_contain_text("Active. The service gets no new bars of it by itself")
    assert serious_findings(page) == []
    row.get_by_role("button", name="Pause").click()
    expect(row).to_contain_text("Paused.")
    page.reload()
    expect_bars(page, "BINANCE:BTCUSDT")
    row.get_by_role("button", name="Arm again").click()
    expect(row).to_contain_text("Active.")
    page.set_viewport_size(PHONE)
    assert serious_findings(page) == []
    row.get_by_role("button", name="Delete").click()
    expect(panel.get_by_text("No alerts yet.")).to_be_visible()


def test_a_click_that_chooses_an_anchor_does_not_offer_its_price_for_an_alert(
    page: Page, site: str
) -> None:
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&timeframe=1h&n_bars=300")
    expect_bars(page, "BINANCE:BTCUSDT")
    page.keyboard.press("a")
    price = page.get_by_role("complementary", name="Price alerts").get_by_role(
        "textbox", name="Price"
    )
    offered = price.input_value()
    page.get_by_role("button", name="Indicators").click()
    page.get_by_role("button", name="Choose the bar on the chart").click()

    page.locator("#chart").click(position={"x": 300, "y": 140})

    expect(page.locator(".legend-study", has_text="VWAP from")).to_be_visible()
    assert price.input_value() == offered
    # The choice is over, so the next click offers its price. The library reports it as a double click if it comes soon.
    page.locator("#chart").click(position={"x": 300, "y": 140})
    expect(price).not_to_have_value(offered)
