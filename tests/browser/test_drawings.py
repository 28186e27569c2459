"""Drawings over the bars: placed, moved, removed and undone by mouse, touch and keys; kept for each symbol."""

from __future__ import annotations

import io
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import PHONE, serious_findings
from tests.support.chart_axes import RECORD, read_axes
from tests.support.chart_reader import expect_bars

SYMBOL = "BINANCE:BTCUSDT"
QUERY = f"symbol={SYMBOL}&timeframe=1h&n_bars=300"
KEPT = f"datasets.drawings.{SYMBOL}"
# Shares of the chart's width and height; all in the pane of the prices.
START, END = (0.3, 0.5), (0.5, 0.35)
HOUR_S = 3600
LINE_COLOR = np.array([27, 95, 208])  # --link in the light theme
Place = tuple[float, float]


def pixel(page: Page, place: Place) -> Place:
    box = page.locator("#chart").bounding_box()
    assert box is not None
    return box["x"] + place[0] * box["width"], box["y"] + place[1] * box["height"]


def drag(page: Page, start: Place, end: Place) -> None:
    page.mouse.move(*pixel(page, start))
    page.mouse.down()
    page.mouse.move(*pixel(page, end), steps=3)
    page.mouse.up()


def kept(page: Page) -> list[dict[str, Any]]:
    """Return the drawings in the browser's storage."""
    text = page.evaluate("(key) => localStorage.getItem(key)", KEPT)
    record = json.loads(text or '{"version": 1, "drawings": []}')
    assert record["version"] == 1
    drawings: list[dict[str, Any]] = record["drawings"]
    return drawings


def kinds(page: Page) -> list[str]:
    return [drawing["kind"] for drawing in kept(page)]


def points(page: Page) -> list[tuple[int, float]]:
    """Return the points of the only drawing."""
    (drawing,) = kept(page)
    return [(point["time"], point["price"]) for point in drawing["points"]]


def draw_line(page: Page) -> None:
    page.keyboard.press("1")
    drag(page, START, END)


@pytest.fixture
def drawn(page: Page, site: str) -> Page:
    """Open a chart without drawings, with the tools visible."""
    page.add_init_script(RECORD)
    page.goto(f"{site}/?{QUERY}")
    expect_bars(page, SYMBOL)
    page.get_by_role("button", name="Drawing tools").click()
    return page


def test_every_kind_is_drawn_with_the_mouse_and_kept_except_the_measure(drawn: Page) -> None:
    tools = drawn.get_by_role("group", name="Drawing tools")
    for n, name in enumerate(["Trend line", "Ray", "Rectangle", "Fibonacci retracement"]):
        tools.get_by_role("button", name=name).click()
        drag(drawn, (0.1 + n / 5, 0.5), (0.2 + n / 5, 0.3))
    tools.get_by_role("button", name="Horizontal line").click()
    drawn.mouse.click(*pixel(drawn, (0.5, 0.25)))
    tools.get_by_role("button", name="Text", exact=True).click()
    drawn.mouse.click(*pixel(drawn, (0.1, 0.2)))
    drawn.get_by_role("textbox", name="Text of the drawing").fill("<i>Support</i>")
    drawn.get_by_role("button", name="Keep").click()
    expect(drawn.locator("#status")).to_contain_text("Text “<i>Support</i>”")
    tools.get_by_role("button", name="Measure").click()
    drag(drawn, START, END)

    said = r"^[+−][\d,.]+ \([+−][\d.]+%\), \d+ bars, \d+ d( \d+ h)?$"
    expect(drawn.locator("#status")).to_have_text(re.compile(said))
    assert kinds(drawn) == ["trend", "ray", "rectangle", "fibonacci", "level", "text"]
    assert kept(drawn)[-1]["text"] == "<i>Support</i>"
    assert serious_findings(drawn) == []


def straight_lines(picture: npt.NDArray[np.int_]) -> dict[str, float]:
    """Return the outermost columns and rows with a line in the colour of drawings; empty without one."""
    is_drawn = (abs(picture[:, :, :3] - LINE_COLOR) < 70).all(axis=2)
    found: dict[str, float] = {}
    for axis, names in [(0, ("left", "right")), (1, ("top", "bottom"))]:
        lines = np.flatnonzero(is_drawn.sum(axis=axis) > 10)
        if lines.size:
            found |= dict(zip(names, map(float, lines[[0, -1]]), strict=True))
    return found


def edges(page: Page) -> dict[str, float]:
    """Return the pixels in the chart of the outermost straight lines of drawings."""
    page.keyboard.press("Escape")  # without the selected drawing's points
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    picture = Image.open(io.BytesIO(page.locator("#chart").screenshot())).convert("RGB")
    pixels = np.array(picture, dtype=int)[
        :400, :1260
    ]  # without the axes and the outline of the focus
    pixels[:60] = 255  # the legend
    return straight_lines(pixels)


def time_at(page: Page, x: float) -> datetime:
    """Return the time in the legend with the mouse at this x."""
    box = page.locator("#chart").bounding_box()
    assert box is not None
    page.mouse.move(x, box["y"] + 150)
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    text = page.locator(".legend-time").inner_text().removesuffix(" UTC")
    return datetime.strptime(text, "%a, %b %d, %Y %H:%M").replace(tzinfo=UTC)


def test_a_drawing_stays_at_its_times_and_prices_on_every_timeframe_and_scale(
    drawn: Page, site: str
) -> None:
    # The same six days in each chart, so that the drawing is visible in each.
    now = int(time.time())
    days = f"from={now - 6 * 86_400}&to={now}"
    drawn.goto(f"{site}/?{QUERY}&{days}")
    expect_bars(drawn, SYMBOL)
    box = drawn.locator("#chart").bounding_box()
    assert box is not None
    last = read_axes(drawn)[0].labels[0].y / box["height"]
    drawn.keyboard.press("4")
    drag(drawn, (0.82, last + 0.03), (0.86, last - 0.03))
    (start, low), (end, high) = points(drawn)

    for timeframe, minutes, n_bars, scale in [
        ("4h", 240, 75, "linear"),
        ("15m", 15, 1200, "log"),
        ("45m", 45, 400, "percent"),
    ]:
        query = f"symbol={SYMBOL}&timeframe={timeframe}&n_bars={n_bars}&scale={scale}&{days}"
        drawn.goto(f"{site}/?{query}")
        expect_bars(drawn, SYMBOL)

        found = edges(drawn)
        for x, instant in [(found["left"], start), (found["right"], end)]:
            off = time_at(drawn, box["x"] + x) - datetime.fromtimestamp(instant, UTC)
            assert abs(off) <= timedelta(minutes=minutes)
        assert prices_between(drawn, found, scale=scale) == pytest.approx([low, high], rel=0.002)


def prices_between(page: Page, found: dict[str, float], *, scale: str) -> list[float]:
    """Return the lowest and the highest price of the edges, computed from the axis."""
    (axis, *_) = read_axes(page)
    values = [axis.value_at(found[y], is_log=scale == "log") for y in ("bottom", "top")]
    if scale != "percent":
        return values
    label = axis.labels[0]  # of the last price; the second one is the crosshair's
    page.mouse.move(5, 5)  # the legend shows the newest bar
    written = re.search(r"\bC\s+([\d,.]+)", page.locator(".legend-values").inner_text())
    assert written is not None
    close = float(written[1].replace(",", ""))
    return [close / (1 + label.value / 100) * (1 + value / 100) for value in values]


def test_a_drawing_is_moved_by_a_point_and_whole_and_each_change_is_undone(drawn: Page) -> None:
    drawn.keyboard.press("1")
    drag(drawn, START, END)
    first = points(drawn)

    drag(drawn, END, (0.6, 0.35))
    longer = points(drawn)
    assert longer[0] == first[0]
    assert longer[1][0] > first[1][0]

    drag(drawn, (0.45, 0.425), (0.45, 0.5))
    lower = points(drawn)
    assert [time for time, _ in lower] == [time for time, _ in longer]
    assert all(after[1] < before[1] for after, before in zip(lower, longer, strict=True))
    # A drag beside the drawings moves the bars.
    drag(drawn, (0.2, 0.7), (0.3, 0.7))
    expect(drawn).to_have_url(re.compile("&from="))
    assert points(drawn) == lower

    for expected in (longer, first):
        drawn.keyboard.press("Control+z")
        assert points(drawn) == expected
    drawn.keyboard.press("Control+Shift+Z")
    assert points(drawn) == longer


def test_everything_works_with_the_keyboard_alone(drawn: Page) -> None:
    status = drawn.locator("#status")
    drawn.locator("#chart").focus()
    for key in ["1", "ArrowLeft", "Enter", "Shift+ArrowRight", "Shift+ArrowUp", "Enter"]:
        drawn.keyboard.press(key)
    (start, low), (end, high) = first = points(drawn)
    assert end - start == 10 * HOUR_S
    assert high > low

    drawn.keyboard.press("ArrowRight")
    assert [time - HOUR_S for time, _ in points(drawn)] == [start, end]
    drawn.keyboard.press("Control+z")
    assert points(drawn) == first
    drawn.keyboard.press("d")
    expect(status).to_contain_text("Trend line: ")
    drawn.keyboard.press("Enter")
    expect(status).to_have_text("The arrow keys move point 1 of 2.")
    drawn.keyboard.press("ArrowLeft")
    drawn.keyboard.press("ArrowLeft")
    assert points(drawn) == [(start - 2 * HOUR_S, low), (end, high)]
    # Steps of one point in a row are one change.
    drawn.keyboard.press("Control+z")
    assert points(drawn) == first

    drawn.keyboard.press("2")
    drawn.keyboard.press("Enter")
    drawn.keyboard.press("Escape")
    assert kinds(drawn) == ["trend"]
    drawn.keyboard.press("d")
    drawn.keyboard.press("Delete")
    assert kinds(drawn) == []
    # Without a tool or a selected drawing the arrows move over the bars again.
    drawn.keyboard.press("ArrowLeft")
    expect(status).to_contain_text("open")


def test_drawings_of_a_symbol_are_hidden_removed_and_brought_back(drawn: Page, site: str) -> None:
    tools = drawn.get_by_role("group", name="Drawing tools")
    for place in (START, END):
        drawn.keyboard.press("3")
        drawn.mouse.click(*pixel(drawn, place))
    assert edges(drawn)["top"] < edges(drawn)["bottom"]

    drawn.keyboard.press("h")
    expect(tools.get_by_role("button", name="Hide the drawings")).to_have_attribute(
        "aria-pressed", "true"
    )
    assert edges(drawn) == {}
    drawn.keyboard.press("h")
    drawn.locator("#symbol").fill("BINANCE:ETHUSDT")
    drawn.keyboard.press("Enter")
    expect_bars(drawn, "BINANCE:ETHUSDT")
    remove_all = tools.get_by_role("button", name="Remove all drawings of this symbol")
    expect(remove_all).to_be_disabled()
    assert edges(drawn) == {}
    drawn.go_back()
    expect_bars(drawn, SYMBOL)
    assert edges(drawn)["top"] > 0

    remove_all.click()
    assert kept(drawn) == []
    tools.get_by_role("button", name="Undo").click()
    assert kinds(drawn) == ["level", "level"]


def test_a_saved_picture_contains_the_drawings(drawn: Page) -> None:
    drawn.keyboard.press("4")
    drag(drawn, START, END)

    with drawn.expect_download() as download:
        drawn.get_by_role("button", name="Save the chart as an image").click()

    picture = np.asarray(Image.open(download.value.path()).convert("RGB"), dtype=int)
    found = straight_lines(picture)
    box = drawn.locator("#chart").bounding_box()
    assert box is not None
    assert found["right"] - found["left"] == pytest.approx(0.2 * box["width"], abs=10)
    assert found["bottom"] - found["top"] == pytest.approx(0.15 * box["height"], abs=4)


def test_a_full_or_forbidden_storage_is_said_and_the_drawings_stay(drawn: Page) -> None:
    problem = drawn.locator("#drawing-problem")
    drawn.evaluate(
        "() => { for (let size = 4_000_000; size >= 1; size = Math.floor(size / 2))"
        " try { for (let n = 0; ; n++) localStorage.setItem(`x${size} ${n}`, 'x'.repeat(size)); } catch { /* full */ } }"
    )
    drawn.keyboard.press("4")
    drag(drawn, START, END)

    expect(problem).to_contain_text("storage for this site is full")
    assert kept(drawn) == []
    assert edges(drawn)["left"] > 0

    drawn.evaluate(
        "() => { localStorage.clear(); Storage.prototype.setItem = () => { throw new DOMException('', 'SecurityError'); }; }"
    )
    drawn.keyboard.press("d")
    drawn.keyboard.press("ArrowLeft")
    expect(problem).to_contain_text("forbids this site to store data")
    assert edges(drawn)["left"] > 0


def test_kept_drawings_of_a_newer_version_stay_and_entries_that_are_none_are_left_out(
    drawn: Page,
) -> None:
    newer = {"version": 2, "drawings": [{"kind": "spiral"}]}
    point = {"time": 1_790_000_000, "price": 1.5}
    good = {"id": "a", "kind": "level", "points": [point]}
    bad = [good | {"kind": "measure"}, good | {"points": [{"time": None, "price": 1}]}, None, {}]
    found = drawn.evaluate(
        """async ([newer, list]) => {
          localStorage.setItem("datasets.drawings.A:NEWER", JSON.stringify(newer));
          const m = await import("/static/js/drawings/kept.js");
          const refused = m.replaceDrawings("A:NEWER", m.drawingsOf("A:NEWER"));
          const kept = m.replaceDrawings("A:B", list);
          return { refused, newer: JSON.parse(localStorage.getItem("datasets.drawings.A:NEWER")), kept, list: m.drawingsOf("A:B") };
        }""",
        [newer, [*bad, good]],
    )

    assert "newer version" in found["refused"]
    assert found["newer"] == newer
    assert (found["kept"], found["list"]) == ("", [good])


def test_a_finger_draws_moves_and_measures_and_does_not_scroll_the_page(
    site: str, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(viewport=PHONE, has_touch=True, is_mobile=True).new_page()
    page.goto(f"{site}/?{QUERY}")
    expect_bars(page, SYMBOL)
    page.get_by_role("button", name="Drawing tools").tap()
    tools = page.get_by_role("group", name="Drawing tools")
    tools.get_by_role("button", name="Trend line").tap()
    page.locator("#chart").scroll_into_view_if_needed()
    top = page.evaluate("scrollY")

    swipe(page, (0.2, 0.2), (0.5, 0.4))
    first = points(page)
    swipe(page, (0.35, 0.3), (0.35, 0.45))

    lower = points(page)
    assert all(after[1] < before[1] for after, before in zip(lower, first, strict=True))
    tools.get_by_role("button", name="Measure").tap()
    swipe(page, (0.2, 0.2), (0.3, 0.6))
    expect(page.locator("#status")).to_contain_text("bars, ")
    assert page.evaluate("scrollY") == top
    assert "from=" not in page.url
    page.touchscreen.tap(*pixel(page, (0.35, 0.45)))
    tools.get_by_role("button", name="Remove the selected drawing").tap()
    assert kept(page) == []


def swipe(page: Page, start: Place, end: Place) -> None:
    touch = page.context.new_cdp_session(page)
    (left, top), (right, bottom) = pixel(page, start), pixel(page, end)
    for step in range(5):
        at = {"x": left + (right - left) * step / 4, "y": top + (bottom - top) * step / 4}
        kind = "touchMove" if step else "touchStart"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [at]})
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def test_times_between_before_and_after_the_bars_have_places_and_back(drawn: Page) -> None:
    times = [0, 3600, 7200, 90_000, 93_600]  # a night between the third bar and the fourth
    asked = [-7200, 0, 1800, 48_600, 93_600, 187_200]
    found = drawn.evaluate(
        """async ([time, asked]) => {
          const m = await import("/static/js/drawings/places.js");
          const bars = { time, length: time.length };
          const places = asked.map((instant) => m.placeOf(instant, bars, "1h"));
          return [places, places.map((place) => m.timeAt(place, bars, "1h"))];
        }""",
        [times, asked],
    )

    step = 93_600 / 4
    assert found[0] == pytest.approx([-7200 / step, *np.interp(asked[1:5], times, range(5)), 8])
    assert found[1] == asked


def test_lines_are_clipped_at_the_pane_and_distances_are_exact(drawn: Page) -> None:
    found = drawn.evaluate(
        """async () => {
          const m = await import("/static/js/drawings/geometry.js");
          const pane = { width: 100, height: 50 };
          const clip = (...line) => { const out = []; return m.clipLine(...line.slice(0, 4), pane, out, line[4]) && out; };
          return {
            far: clip(-1e9, -1e9 + 10, 1e9, 1e9 + 10), ray: clip(10, 10, 20, 20, true), back: clip(20, 20, 10, 10, true),
            outside: clip(-5, -5, -1, 60), level: clip(-10, 20, 200, 20), dot: clip(5, 5, 5, 5),
            beside: m.distanceToLine(5, 3, 0, 0, 10, 0), behind: m.distanceToLine(13, 4, 0, 0, 10, 0),
            on: m.distanceToLine(13, 4, 0, 0, 10, 0, true), edge: m.distanceToEdges(5, 4, 0, 0, 10, 20),
          };
        }"""
    )

    assert found["far"] == pytest.approx([0, 10, 40, 50], abs=1e-4)
    assert (found["ray"], found["back"]) == ([10, 10, 50, 50], [20, 20, 0, 0])
    assert (found["outside"], found["dot"]) == (False, False)
    assert found["level"] == [0, 20, 100, 20]
    assert [found[name] for name in ("beside", "behind", "on", "edge")] == [3, 5, 4, 4]
