"""Touch on the chart: a vertical swipe scrolls the page, a horizontal swipe moves the bars."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import PHONE
from tests.support.chart_reader import expect_bars

N_STEPS = 8


@pytest.fixture
def phone(site: str, open_context: Callable[..., BrowserContext]) -> Page:
    page = open_context(viewport=PHONE, has_touch=True, is_mobile=True).new_page()
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=3000")
    expect_bars(page, "BINANCE:BTCUSDT")
    return page


def swipe(page: Page, *, x: int = 0, y: int = 0) -> None:
    """Swipe over the middle of the chart by these pixels, one step in each frame."""
    box = page.locator("#chart").bounding_box()
    assert box is not None
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    touch = page.context.new_cdp_session(page)
    for step in range(N_STEPS + 1):
        share = step / N_STEPS
        at = {"x": middle[0] + x * share, "y": middle[1] + y * share}
        kind = "touchMove" if step else "touchStart"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [at]})
        page.evaluate(
            "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
        )
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


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
