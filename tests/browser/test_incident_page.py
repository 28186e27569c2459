"""The page of incidents, and the hint to staff, in a real browser against the real stack."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import (
    DESKTOP,
    KEPT,
    PHONE,
    ROOT,
    serious_findings,
    stack_environment,
)
from tests.browser.test_lists import sign_in

# Of another source: the workers of the site leave these rows alone.
ADD = """
from datetime import timedelta
from django.utils import timezone
from datasets.models import Incident, IncidentMessage
now = timezone.now()
def add(number, kind, subject, **more):
    return Incident.objects.create(
        kind=kind, source="tradingview", topic=f"browser-{number}", subject=subject, **more
    )
one = add(1, "series_failing", "NASDAQ:AAPL 1D", failures=4, lag_bars=2, error_code="feed_timeout",
    error_message="The feed sent nothing within 20 s.", opened_at=now - timedelta(minutes=12))
two = add(2, "sign_in", "TradingView", error_code="auth_expired",
    error_message="TradingView no longer accepts the cookie session.", opened_at=now)
add(3, "series_behind", "BINANCE:BTCUSDT/BINANCE:ETHUSDT 1h", lag_bars=27,
    opened_at=now - timedelta(days=3), closed_at=now - timedelta(days=2, hours=20))
for way, state, more in [
    ("webhook", "waiting", {"attempts": 3, "last_error": "The receiver answered HTTP 500.",
        "next_attempt_at": now + timedelta(hours=1)}),
    ("mail", "sent", {"attempts": 1, "sent_at": now}),
]:
    IncidentMessage.objects.create(event="opened", way=way, state=state, **more).incidents.set([one, two])
"""
END = "from datasets.models import Incident; Incident.objects.all().delete()"


@pytest.fixture(scope="module")
def told(site: str, site_folder: Path) -> Iterator[str]:
    """The site with two open incidents, one that is over, and two messages."""
    environment = stack_environment(8000, site_folder / "outputs")

    def run(code: str) -> None:
        command = [sys.executable, "manage.py", "shell", "--no-imports", "-c", code]
        subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=120)

    run(ADD)
    yield site
    run(END)


def test_staff_see_a_hint_and_open_the_incidents(page: Page, told: str) -> None:
    sign_in(page, told, "/datasets/")
    hint = page.get_by_role("complementary", name="Open incidents")
    expect(hint).to_contain_text("2 incidents are open")
    assert serious_findings(page) == []

    hint.get_by_role("link", name="Show").click()

    expect(page.locator("tr.incident")).to_have_count(2)
    expect(hint).to_be_hidden()
    expect(page.locator("tr.incident").last).to_contain_text("not sent after 3 attempts")
    page.get_by_label("Over").check(force=True)
    expect(page.locator("tr.incident")).to_have_count(1)
    page.get_by_role("button", name="Sign out").click()
    page.goto(f"{told}/incidents/")
    expect(page.locator("tr.incident")).to_have_count(3)
    expect(page.get_by_text("HTTP 500")).to_be_hidden()


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_the_page_of_incidents_fits_and_axe_finds_nothing_serious(
    theme: str, device: str, told: str, open_context: Callable[..., BrowserContext]
) -> None:
    viewport = PHONE if device == "phone" else DESKTOP
    page = open_context(viewport=viewport, color_scheme=theme).new_page()
    KEPT.mkdir(parents=True, exist_ok=True)
    sign_in(page, told, "/fetches/")

    for name in ("fetches", "incidents"):
        page.goto(f"{told}/{name}/")
        assert serious_findings(page) == []
        kind = f"{'phone-' if device == 'phone' else ''}{theme}"
        page.screenshot(path=KEPT / f"{name}-with-incidents-{kind}.png")
        for width in [320, 390, 760, 900, 1081, 1280]:
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
        page.set_viewport_size(viewport)
