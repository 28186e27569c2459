"""The chart moves: live bars of a real service with the sample feed, their state, and the countdown to the close."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import (
    DESKTOP,
    ROOT,
    STOP_S,
    free_port,
    serious_findings,
    stack_environment,
    wait_until_ready,
)
from tests.support.chart_reader import expect_bars
from tests.support.stacks import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def live_site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The whole service as `make run` starts it, with live bars."""
    folder: Path = tmp_path_factory.mktemp("live")
    port, log = free_port(), folder / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tvproject.run"],
            cwd=ROOT,
            env=stack_environment(port, folder / "outputs") | {"TV_LIVE": "1"},
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until_ready(process, f"http://127.0.0.1:{port}", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=STOP_S)


def test_the_last_candle_moves_and_a_hidden_page_asks_for_nothing(
    browser: Browser, live_site: str
) -> None:
    page: Page = browser.new_page(viewport=DESKTOP)
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if "/live?" in one.url else None)
    page.goto(f"{live_site}/?symbol=BINANCE:BTCUSDT&timeframe=1&n_bars=200&ind=sma-20,rsi-14")
    expect_bars(page, "BINANCE:BTCUSDT")
    state = page.locator("#live-state")

    expect(state).to_have_text(re.compile(r"^live · bar ends in \d:\d\d$"), timeout=60_000)
    values = page.locator("#legend-values")
    seen = values.inner_text()
    wait_until(lambda: values.inner_text() != seen, what="the move of the last candle")
    # A new minute adds a bar.
    newest = page.locator("#legend-values .legend-time")
    expect(newest).not_to_have_text(newest.inner_text(), timeout=75_000)
    expect(page.locator("#behind")).to_be_hidden()
    assert serious_findings(page) == []

    page.evaluate(
        "() => { Object.defineProperty(document, 'hidden', { value: true }); document.dispatchEvent(new Event('visibilitychange')); }"
    )
    page.wait_for_timeout(500)
    n_asked = len(asked)
    page.wait_for_timeout(6000)

    assert len(asked) == n_asked
    assert errors == []
    page.close()


def test_an_alert_on_the_forming_bar_is_told_on_the_page(browser: Browser, live_site: str) -> None:
    page: Page = browser.new_page(viewport=DESKTOP)
    page.goto(f"{live_site}/?symbol=BINANCE:BTCUSDT&timeframe=1&n_bars=200")
    expect_bars(page, "BINANCE:BTCUSDT")
    page.get_by_role("button", name="Price alerts").click()
    panel = page.get_by_role("complementary", name="Price alerts")
    panel.get_by_role("textbox", name="Price").fill("1")
    panel.get_by_role("combobox", name="Condition").select_option("above")
    panel.get_by_role("combobox", name="Bars").select_option("forming")
    panel.get_by_role("button", name="Add alert").click()

    message = page.get_by_role("log", name="Triggered alerts")
    expect(message).to_contain_text("BINANCE:BTCUSDT 1m above 1:", timeout=60_000)
    expect(panel.get_by_role("listitem")).to_contain_text("Triggered at")
    assert serious_findings(page) == []
    message.get_by_role("button").click()
    expect(message).to_be_empty()
