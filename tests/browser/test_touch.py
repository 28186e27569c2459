"""Touch on the chart: one finger scrolls the page, moves the bars or measures, two fingers zoom."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import PHONE
from tests.support.chart_reader import expect_bars, query_of

N_STEPS = 8


@pytest.fixture
def phone(site: str, open_context: Callable[..., BrowserContext]) -> Page:
    page = open_context(viewport=PHONE, has_touch=True, is_mobile=True).new_page()
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=3000")
    expect_bars(page, "BINANCE:BTCUSDT")
    return page


def swipe(page: Page, *, x: int = 0, y: int = 0) -> None:
    """Swipe over the middle of the chart by these pixels."""
    move_fingers(page, lambda share: [(x * share, y * share)])


def pinch(page: Page, *, start: int, end: int) -> None:
    """Move two fingers apart about the middle of the chart: from `start` to `end` pixels between them."""

    def apart(share: float) -> list[tuple[float, float]]:
        half = (start + (end - start) * share) / 2
        return [(-half, 0), (half, 0)]

    move_fingers(page, apart)


def move_fingers(page: Page, places: Callable[[float], list[tuple[float, float]]]) -> None:
    """Move fingers over the chart, one step in each frame; `places` gives their pixels from its middle."""
    box = page.locator("#chart").bounding_box()
    assert box is not None
    left, top = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    touch = page.context.new_cdp_session(page)
    for step in range(N_STEPS + 1):
        points = [
            {"x": left + x, "y": top + y, "id": number}
            for number, (x, y) in enumerate(places(step / N_STEPS))
        ]
        kind = "touchMove" if step else "touchStart"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
        page.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def visible_hours(page: Page) -> tuple[float, float]:
    """Return the visible range in hours since 1970, as the address has it."""
    query = query_of(page)
    return int(query["from"]) / 3600, int(query["to"]) / 3600


def test_a_vertical_swipe_scrolls_the_page(phone: Page) -> None:
    assert phone.evaluate("scrollY") == 0

    swipe(phone, y=-250)

    expect(phone.locator("#facts")).to_be_in_viewport()
    assert phone.evaluate("scrollY") > 100
    assert "from=" not in phone.url


def test_a_horizontal_swipe_moves_the_bars(phone: Page) -> None:
    swipe(phone, x=200)

    expect(phone).to_have_url(re.compile("&from="))
    assert phone.evaluate("scrollY") == 0


def test_a_pinch_widens_the_bars_about_the_middle_and_not_the_page(phone: Page) -> None:
    swipe(phone, x=200)
    expect(phone).to_have_url(re.compile("&from="))
    start, end = visible_hours(phone)

    pinch(phone, start=60, end=240)

    expect(phone).not_to_have_url(re.compile(f"&from={start * 3600:.0f}"))
    near, far = visible_hours(phone)
    assert far - near < 0.7 * (end - start)
    # The scale of the prices covers the right part of the chart, so the fingers are right of the bars' middle.
    share = (far - near) / (end - start)
    assert (near - start) / (1 - share) == pytest.approx(0.62 * (end - start), abs=4)
    assert phone.evaluate("[visualViewport.scale, scrollY]") == [1, 0]


def test_a_long_press_measures_up_to_where_the_finger_leaves(phone: Page) -> None:
    box = phone.locator("#chart").bounding_box()
    assert box is not None
    finger = {"x": box["x"] + 100, "y": box["y"] + 80}
    touch = phone.context.new_cdp_session(phone)
    touch.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [finger]})
    expect(phone.locator("#status")).to_contain_text("move the finger to the second point")

    for step in range(1, 5):
        moved = {"x": finger["x"] + 20 * step, "y": finger["y"] + 30 * step}
        touch.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [moved]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})

    expect(phone.locator("#status")).to_have_text(re.compile(r"^−.* \(−.*%\), (\d+) bars, \1 h$"))
    assert phone.evaluate("scrollY") == 0
    assert "from=" not in phone.url
