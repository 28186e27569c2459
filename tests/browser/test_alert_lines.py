"""The lines of price alerts are dragged to other prices, in a real browser against the real stack."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import APIRequestContext, BrowserContext, Page, expect

from tests.browser.conftest import PHONE
from tests.support.chart_axes import RECORD, Axis, Mark, read_axes
from tests.support.chart_reader import expect_bars

SERIES = "symbol=NASDAQ:AAPL&timeframe=1D&n_bars=60"
FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"


@pytest.fixture
def alert(page: Page, site: str) -> Iterator[dict[str, Any]]:
    """Make an alert at a price in the middle of the bars; delete it after the test."""
    reply = page.request.get(f"{site}/api/tv/ohlc?{SERIES}&format=columns&wait=60")
    closes = reply.json()["ohlc"]["close"]
    price = round((min(closes) + max(closes)) / 2, 2)
    body = {"symbol": "NASDAQ:AAPL", "timeframe": "1D", "condition": "above", "price": price}
    made = page.request.post(f"{site}/api/tv/alerts", data=body)
    assert made.status == 201, made.text()
    address = f"{site}/api/tv/alerts/{made.json()['id']}"
    yield made.json() | {"address": address}
    page.request.delete(address)


def open_chart(page: Page, site: str, *, rest: str = "") -> None:
    page.add_init_script(RECORD)
    page.goto(f"{site}/?{SERIES}{rest}")
    expect_bars(page, "NASDAQ:AAPL")
    # The title of the line is painted at its label: the alerts have been read.
    page.wait_for_function("[...window.painted.values()].some(({ texts }) => texts.some(({ text }) => text === '> 1D'))")  # fmt: skip


def price_axis(page: Page) -> Axis:
    """Return the price axis; the titles of alerts are no marks of it."""
    axis = read_axes(page)[0]
    return Axis(axis.ticks, [label for label in axis.labels if label.text != "> 1D"])


def label_of(page: Page, price: float) -> Mark:
    """Return the label at the axis with this price."""
    (label,) = [label for label in price_axis(page).labels if label.text == f"{price:.2f}"]
    return label


def stored_price(requests: APIRequestContext, alert: dict[str, Any]) -> float:
    price: float = requests.get(alert["address"]).json()["price"]
    return price


def corner(page: Page) -> tuple[float, float]:
    """Return the upper left corner of the chart in the window."""
    box = page.locator("#chart").bounding_box()
    assert box is not None
    return box["x"], box["y"]


def time_at(page: Page, x: float, y: float) -> str:
    """Return the time of the bar at a place of the window."""
    page.mouse.move(x, y)
    page.evaluate(FRAMES)
    return page.locator(".legend-time").inner_text()


@pytest.mark.parametrize("scale", ["linear", "percent"])
def test_a_dragged_line_gives_the_alert_another_price_and_the_bars_stay(
    scale: str, page: Page, site: str, alert: dict[str, Any]
) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.method))
    open_chart(page, site)
    left, top = corner(page)
    x, y = left + 600, top + label_of(page, alert["price"]).y
    page.locator(f"#scale input[value={scale}]").check(force=True)
    page.evaluate(FRAMES)
    before = time_at(page, x, y - 60)
    page.mouse.move(x, y)
    expect(page.locator("#chart")).to_have_class(re.compile("is-over-line"))

    # Escape takes the drag back.
    page.mouse.down()
    page.mouse.move(x + 80, y + 30, steps=3)
    page.keyboard.press("Escape")
    page.mouse.move(x + 80, y + 45)
    page.mouse.up()
    assert stored_price(page.request, alert) == alert["price"]
    assert "PATCH" not in sent

    page.mouse.move(x, y)
    page.mouse.down()
    with page.expect_response(lambda reply: reply.request.method == "PATCH"):
        page.mouse.move(x + 80, y + 40, steps=4)
        page.mouse.up()

    price = stored_price(page.request, alert)
    assert price < alert["price"]
    # In whole steps of the symbol, and where the line was let go.
    assert round(price, 2) == price
    page.locator("#scale input[value=linear]").check(force=True)
    expect(page.locator("#status")).to_contain_text(f"above {price}")
    assert label_of(page, price).y == pytest.approx(y + 40 - top, abs=2)
    assert time_at(page, x, y - 60) == before


def test_a_refused_change_puts_the_line_back_and_the_panel_says_why(
    page: Page, site: str, alert: dict[str, Any]
) -> None:
    problem = {
        "code": "invalid_parameter", "title": "Invalid", "status": 400, "detail": "Invalid.",
        "errors": {"price": ["Not this price."]},
    }  # fmt: skip
    page.route(
        "**/api/tv/alerts/*",
        lambda route: (
            route.fulfill(status=400, json=problem)
            if route.request.method == "PATCH"
            else route.fallback()
        ),
    )
    open_chart(page, site)
    left, top = corner(page)
    y = label_of(page, alert["price"]).y

    page.mouse.move(left + 400, top + y)
    page.mouse.down()
    page.mouse.move(left + 400, top + y - 30, steps=3)
    page.mouse.up()

    expect(page.get_by_role("complementary", name="Price alerts")).to_be_visible()
    expect(page.locator("#alerts-problem")).to_have_text("Not this price.")
    label_of(page, alert["price"])
    # The next list of alerts does not take the reason away.
    expect(page.locator("#alerts-rows li")).to_have_count(1)
    expect(page.locator("#alerts-problem")).to_be_visible()


def test_a_line_gives_its_press_to_the_choice_of_an_anchor_and_a_paused_alert_has_none(
    page: Page, site: str, alert: dict[str, Any]
) -> None:
    open_chart(page, site)
    y = label_of(page, alert["price"]).y
    chart = page.locator("#chart")
    page.get_by_role("button", name="Indicators").click()
    page.get_by_role("button", name="Choose the bar on the chart").click()

    chart.click(position={"x": 700, "y": y})

    expect(page.locator(".legend-study", has_text="VWAP from")).to_be_visible()
    assert stored_price(page.request, alert) == alert["price"]
    chart.hover(position={"x": 690, "y": y})
    expect(chart).to_have_class(re.compile("is-over-line"))
    page.request.patch(alert["address"], data={"state": "paused"})
    page.reload()
    expect_bars(page, "NASDAQ:AAPL")
    page.keyboard.press("a")
    expect(page.locator("#alerts-rows li")).to_contain_text("Paused.")
    chart.hover(position={"x": 400, "y": y})
    page.evaluate(FRAMES)
    expect(chart).not_to_have_class(re.compile("is-over-line"))


def test_a_finger_on_the_line_drags_it_and_beside_it_scrolls_the_page(
    site: str, alert: dict[str, Any], open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(viewport=PHONE, has_touch=True, is_mobile=True).new_page()
    open_chart(page, site)
    left, top = corner(page)
    y = label_of(page, alert["price"]).y

    def swipe(start: float, by: float) -> None:
        touch = page.context.new_cdp_session(page)
        for step in range(9):
            point = {"x": left + 150, "y": top + start + by * step / 8}
            kind = "touchMove" if step else "touchStart"
            touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
            page.evaluate(FRAMES)
        touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    with page.expect_response(lambda reply: reply.request.method == "PATCH"):
        swipe(y + 6, -40)
    assert page.evaluate("scrollY") == 0
    moved = stored_price(page.request, alert)
    assert moved > alert["price"]

    swipe(y + 60, -150)
    page.wait_for_function("scrollY > 50")
    assert stored_price(page.request, alert) == moved
