"""The chart page in Chromium: first candles, drawing, a pan and a live update, beside their goals.

The service runs as in production; the browser is the system's Chromium, without a graphics card. Script time
is the browser's own count (`Performance.getMetrics`), frame times come from `requestAnimationFrame`.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, Route, sync_playwright

from benchmarks.measurement import machine, publish, table
from tests.browser.conftest import CHROMIUM_ARGUMENTS, DESKTOP
from tests.support.stacks import Feed, Stack

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
SIZES = (10_000, 100_000)
STUDIES = "sma:20,ema:50,bb:20:2,vwap,rsi:14,macd:12:26:9"
WAIT_MS = 120_000
# Resolves to the page's measure of its first painting of bars.
PAINTED = """
() => new Promise((found) => {
  const observer = new PerformanceObserver((list) => {
    const [measure] = list.getEntriesByName("painted");
    if (measure) found(measure.toJSON());
  });
  observer.observe({ type: "measure", buffered: true });
})
"""
# A pan lasts about two seconds, at more moves than frames.
N_MOVES, MOVE_S, PAN_PX = 160, 0.011, 800
N_DRAWINGS = 20
# When the bars and the last of the modules that draw them have arrived.
ARRIVED = """
() => {
  const drawn = performance.getEntriesByName("painted")[0].startTime;
  const needed = ({ name, startTime }) => name.includes("/api/tv/ohlc?") || (/js$/.test(name) && startTime < drawn);
  return Math.max(...performance.getEntriesByType("resource").filter(needed).map(({ responseEnd }) => responseEnd));
}
"""
COUNT_FRAMES = """
() => {
  window.frameTimes = [];
  let before = null;
  requestAnimationFrame(function next(now) {
    if (before !== null) window.frameTimes.push(now - before);
    before = now;
    if (window.frameTimes) requestAnimationFrame(next);
  });
}
"""
# The page asks for live bars when it becomes visible; the legend shows the new close, then two frames are painted.
ASK_FOR_LIVE_BARS = """
(text) => new Promise((done) => {
  const legend = document.getElementById("legend-values");
  const observer = new MutationObserver(() => {
    if (!legend.textContent.includes(text)) return;
    observer.disconnect();
    requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done)));
  });
  observer.observe(legend, { childList: true });
  document.dispatchEvent(new Event("visibilitychange"));
})
"""
UPDATED = "performance.getEntriesByName('updated').at(-1).duration"


@dataclass(frozen=True)
class Figure:
    """One measured figure: the median of several runs in milliseconds, and its goal."""

    name: str
    size: int
    runs_ms: list[float]
    goal_ms: float
    note: str
    load: float

    @property
    def line(self) -> list[str]:
        """The figure as a line of the table."""
        median = statistics.median(self.runs_ms)
        return [
            self.name, f"{self.size:,}", f"{median:.1f}", f"{self.goal_ms:g}", f"{median / self.goal_ms:.2f}",
            f"{min(self.runs_ms):.1f}–{max(self.runs_ms):.1f}", self.note, f"{self.load:.1f}",
        ]  # fmt: skip


def main() -> None:
    """Measure and publish."""
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=CHROMIUM_ARGUMENTS
        )
        feed = Feed(Path(name))
        stack = Stack(Path(name), feed, TV_MAX_BARS=str(max(SIZES)), TV_LIVE="1")
        stack.start_web()
        stack.start_worker()
        stack.start_live()
        try:
            figures = []
            for size in SIZES:
                for figure in measure(browser, stack, size):
                    print(*figure.line, sep=" | ", flush=True)
                    figures.append(figure)
        finally:
            stack.stop()
            feed.stop()
            browser.close()
    headings = ["", "bars", "ms", "goal", "of the goal", "runs", "more", "load"]
    text = (
        f"{machine()}; Chromium {browser.version}, 1440 × 900; medians of {ROUNDS} runs with the studies `{STUDIES}`; "
        f"a pan moves {N_DRAWINGS} drawings too. "
        "The load is that of the machine, with the service and the browser on it.\n\n"
    )
    publish("Chart page", text + table(headings, [figure.line for figure in figures]))


def measure(browser: Browser, stack: Stack, size: int) -> Iterator[Figure]:
    """Yield all figures of a series of `size` bars."""
    series = f"symbol=LOAD:PAGE{size}&timeframe=5&n_bars={size}"
    stack.get(
        "ohlc", symbol=f"LOAD:PAGE{size}", timeframe="5", n_bars=size, wait=60, fields="close"
    ).raise_for_status()
    address = f"{stack.url}/?{series}"

    def figure(name: str, runs_ms: list[float], goal_ms: float, note: str = "") -> Figure:
        return Figure(name, size, runs_ms, goal_ms, note, os.getloadavg()[0])

    opened = [first_candles(browser, address) for _ in range(ROUNDS)]
    yield figure("first candles on a cold page", [first for first, _ in opened], 1000)
    yield figure("drawn after arrival of bars and modules", [drawn for _, drawn in opened], 700)
    drawings = drawings_of(stack, f"LOAD:PAGE{size}")
    with chart(browser, f"{address}&studies={STUDIES}", drawings) as page:
        for name, key in [("a frame of a pan", "End"), ("the same, all bars visible", "Home")]:
            page.locator("#chart").focus()
            page.keyboard.press(key)
            pans = [pan(page) for _ in range(ROUNDS)]
            frames = [statistics.median(frames) for frames, _ in pans]
            late = sorted(each for frames, _ in pans for each in frames)
            script = statistics.median(script_ms for _, script_ms in pans)
            note = f"95 % within {late[int(len(late) * 0.95)]:.1f}; script {script:.1f} a frame"
            yield figure(name, frames, 16.7, note)
    with chart(browser, f"{address}&studies={STUDIES}") as page:
        live = live_updates(page)
        for name, taken in live.items():
            script = statistics.median(script_ms for _, script_ms in taken)
            note = f"with the library's painting {script:.1f}"
            yield figure(f"a live update of {name}", [update_ms for update_ms, _ in taken], 5, note)


@contextmanager
def chart(browser: Browser, address: str, drawings: str = "") -> Iterator[Page]:
    """Open the page in a fresh profile with a script that keeps drawings, and wait until its bars are painted."""
    context = browser.new_context(viewport=DESKTOP)
    context.set_default_timeout(WAIT_MS)
    context.add_init_script(drawings)
    page = context.new_page()
    page.goto(address)
    page.evaluate(PAINTED)
    yield page
    context.close()


def drawings_of(stack: Stack, symbol: str) -> str:
    """Return a script that keeps `N_DRAWINGS` trend lines and rectangles among the newest bars of a symbol."""
    bars = stack.get("ohlc", symbol=symbol, timeframe="5", n_bars=4 * N_DRAWINGS).json()["ohlc"]
    drawings = [
        {
            "id": str(number),
            "kind": "rectangle" if number % 2 else "trend",
            "points": [
                {"time": datetime.fromisoformat(bar["time"]).timestamp(), "price": bar[side]}
                for bar, side in ((bars[4 * number], "high"), (bars[4 * number + 3], "low"))
            ],
        }
        for number in range(N_DRAWINGS)
    ]
    text = json.dumps({"version": 1, "drawings": drawings})
    return f"localStorage.setItem('datasets.drawings.{symbol}', {json.dumps(text)})"


def first_candles(browser: Browser, address: str) -> tuple[float, float]:
    """Return the milliseconds until the bars are painted: from the click on the link, and from the arrival of bars and modules."""
    with chart(browser, address) as page:
        measure = page.evaluate(PAINTED)
        painted = measure["startTime"] + measure["duration"]
        return painted, painted - page.evaluate(ARRIVED)


def pan(page: Page) -> tuple[list[float], float]:
    """Drag the bars to the right; return the time between each two frames, and the script time of a frame, in ms."""
    box = page.locator("#chart").bounding_box()
    assert box is not None
    left, y = box["x"] + 100, box["y"] + 200
    page.mouse.move(left, y)
    page.mouse.down()
    page.evaluate(COUNT_FRAMES)
    script = Script(page)
    before = script.ms()
    for number in range(N_MOVES):
        started = time.perf_counter()
        page.mouse.move(left + PAN_PX * number / N_MOVES, y)
        time.sleep(max(0.0, MOVE_S - (time.perf_counter() - started)))
    taken = script.ms() - before
    frames = page.evaluate(
        "(() => { const found = window.frameTimes; window.frameTimes = null; return found; })()"
    )
    page.mouse.up()
    return frames, taken / len(frames)


def live_updates(page: Page) -> dict[str, list[tuple[float, float]]]:
    """Send live replies that change the newest bar, and ones that bring a new one; return what each takes in ms.

    That is the time in which the page hands the change to the chart library, and the processor time of all script until
    the library has painted it.
    """
    service = LiveReplies()
    page.route("**/live?*", service.answer)
    with page.expect_response(lambda response: bool(service.reply)):
        pass
    script = Script(page)
    taken: dict[str, list[tuple[float, float]]] = {"the newest bar": [], "a new bar": []}
    for number in range(ROUNDS * 2 + 2):
        name = "a new bar" if number % 2 else "the newest bar"
        text = service.change(is_new=name == "a new bar")
        before = script.ms()
        page.evaluate(ASK_FOR_LIVE_BARS, text)
        # The first update of each kind also compiles its script.
        if number > 1:
            taken[name].append((page.evaluate(UPDATED), script.ms() - before))
    return taken


class LiveReplies:
    """Answers with the service's first live reply, and changes it: another close, or one more bar."""

    def __init__(self) -> None:
        self._closes = count(1000.25, 0.25)
        self.reply: dict[str, Any] = {}

    def change(self, *, is_new: bool) -> str:
        """Change the replies from now on; return the new close as the legend writes it."""
        bars, dates = self.reply["ohlc"], self.reply["trading_dates"]
        if is_new:
            opened = datetime.fromisoformat(bars[-1]["time"]) + timedelta(minutes=5)
            bars.append(bars[-1] | {"time": opened.isoformat()})
            dates.append(dates[-1])
        close = next(self._closes)
        bars[-1] |= {
            "close": close,
            "high": max(close, bars[-1]["high"]),
            "low": min(close, bars[-1]["low"]),
        }
        return f"{close:,.2f}"

    def answer(self, route: Route) -> None:
        """Answer a request for live bars."""
        self.reply = self.reply or route.fetch().json()
        route.fulfill(json=self.reply)


class Script:
    """The processor time of a page's main thread since the browser began to count."""

    def __init__(self, page: Page) -> None:
        self._session = page.context.new_cdp_session(page)
        # Processor time instead of the clock: other processes of a busy machine do not count.
        self._session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def ms(self, name: str = "ScriptDuration") -> float:
        """Return the milliseconds of all scripts, or of all tasks with `TaskDuration`."""
        metrics = self._session.send("Performance.getMetrics")["metrics"]
        return 1000 * float(next(each["value"] for each in metrics if each["name"] == name))


if __name__ == "__main__":
    main()
