"""The real stack, as `make run` starts it, and the system's browser."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Frame,
    Page,
    ViewportSize,
    expect,
    sync_playwright,
)

from tvproject.env import SETTINGS

ROOT = Path(__file__).parents[2]
KEPT = ROOT / "outputs" / "browser-tests"
SCREENSHOTS = ROOT / "docs" / "screenshots"
MAX_SCREENSHOT_BYTES = 250_000
START_S, STOP_S = 60, 30
# For a run as root, without a graphics card, and without the browser's calls to its vendor.
CHROMIUM_ARGUMENTS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
# A busy machine is slow, which is not a failure.
WAIT_MS = 20_000
# Above the 60 s that the service waits for a fetch; Playwright's own limit is 30 s.
FETCH_MS = 70_000
DESKTOP: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}


def missing(reason: str) -> NoReturn:
    """Skip the test; fail it with `REQUIRE_ALL=1`."""
    if os.environ.get("REQUIRE_ALL") == "1":
        pytest.fail(f"{reason} REQUIRE_ALL=1 asks for it.", pytrace=False)
    pytest.skip(reason)


def chromium() -> str:
    """Return the path of the system's Chromium."""
    return shutil.which("chromium") or missing("The system has no Chromium.")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    path = chromium()
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def site_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the service."""
    return tmp_path_factory.mktemp("stack")


@pytest.fixture(scope="session")
def site(browser: Browser, site_folder: Path) -> Iterator[str]:
    """Start the whole service on a free port, in its own folder, after the browser."""
    folder = site_folder
    port = free_port()
    log = folder / "log.txt"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "tvproject.run"],
            cwd=ROOT,
            env=stack_environment(port, folder / "outputs"),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        wait_until_ready(process, address, log)
        yield address
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            raise


def stack_environment(port: int, outputs: Path) -> dict[str, str]:
    """Return this process's environment without the tests' own settings."""
    kept = ("PATH", "HOME", "LANG", "TMPDIR", "VIRTUAL_ENV")
    inherited = {name: os.environ[name] for name in kept if name in os.environ}
    # An empty variable counts as not set, and overrides a developer's `.env`.
    return (
        inherited
        | dict.fromkeys(SETTINGS, "")
        | {
            "PORT": str(port),
            "OUTPUTS_URL": str(outputs),
            "TV_SOURCE": "sample",
            "TV_RATE_PER_MINUTE": "0",
            "TV_MAX_BARS": "50000",
            "ADMIN_PASSWORD": "a password of the tests",
            "WEB_WORKERS": "1",
        }
    )


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until_ready(process: subprocess.Popen[bytes], address: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{address}/healthz", timeout=2):
                return
        except OSError:
            # There is no event to wait for: only the open port shows that the server is ready.
            time.sleep(0.05)
    pytest.fail(f"The stack did not start:\n{log.read_text()}", pytrace=False)


@pytest.fixture
def open_context(browser: Browser) -> Iterator[Callable[..., BrowserContext]]:
    """Return a function that opens a fresh browser profile."""
    contexts: list[BrowserContext] = []

    def open_one(**options: Any) -> BrowserContext:
        context = browser.new_context(
            **({"viewport": DESKTOP, "color_scheme": "light", "locale": "en-US"} | options)
        )
        context.set_default_timeout(WAIT_MS)
        contexts.append(context)
        return context

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture
def page(
    open_context: Callable[..., BrowserContext], request: pytest.FixtureRequest
) -> Iterator[Page]:
    """Open a page. An error of its script fails the test, and a failed test saves a screenshot."""
    page = open_context().new_page()
    thrown: list[str] = []
    page.on("pageerror", lambda error: thrown.append(str(error)))
    yield page
    report = getattr(request.node, "call_report", None)
    if report is not None and report.failed:
        KEPT.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=KEPT / f"{request.node.name}.png", full_page=True)
    assert not thrown


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Give the fixtures the outcome of the test."""
    report = yield
    if report.when == "call":
        item.call_report = report  # type: ignore[attr-defined]
    return report


def serious_findings(page: Page | Frame) -> list[str]:
    """Return the serious and critical findings of axe-core on the page, without those in its frames."""
    path = ROOT / "node_modules" / "axe-core" / "axe.min.js"
    if not path.exists():
        missing("axe-core is not installed (npm ci).")
    page.evaluate(path.read_text())
    results = page.evaluate("axe.run(document, { iframes: false })")
    return [
        f"{violation['id']}: {node['html'][:160]} {node['failureSummary']}"
        for violation in results["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def save_screenshot(page: Page, name: str) -> None:
    """Save a screenshot of the page, which must be small and not wider than its window."""
    width = page.evaluate("document.documentElement.scrollWidth")
    assert width <= page.viewport_size["width"]  # type: ignore[index]
    # The bars change every hour, so only UPDATE_SCREENSHOTS=1 replaces the committed pictures.
    path = SCREENSHOTS / f"{name}.png"
    if path.exists() and os.environ.get("UPDATE_SCREENSHOTS") != "1":
        path = KEPT / path.name
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path)
    assert path.stat().st_size < MAX_SCREENSHOT_BYTES
