"""The page `/status/` in a real browser, and the navigation on small screens."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.browser.conftest import DESKTOP, KEPT, PHONE, serious_findings
from tests.browser.test_lists import sign_in


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_the_status_page_fits_and_axe_finds_nothing_serious(
    theme: str, device: str, site: str, open_context: Callable[..., BrowserContext]
) -> None:
    viewport = PHONE if device == "phone" else DESKTOP
    page = open_context(viewport=viewport, color_scheme=theme).new_page()
    sign_in(page, site, "/fetches/")

    page.get_by_role("link", name="Status", exact=True).click()

    expect(page.get_by_role("heading", name="Workers")).to_be_visible()
    expect(page.get_by_role("link", name="Status", exact=True)).to_have_attribute(
        "aria-current", "page"
    )
    assert serious_findings(page) == []
    KEPT.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=KEPT / f"status-{device}-{theme}.png", full_page=True)
    for width in [320, 390, 760, 1281]:
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width, width
        # Nothing of the navigation is outside of the window.
        last = page.get_by_role("navigation", name="Pages").get_by_role("link", name="Admin")
        box = last.bounding_box()
        assert box is not None
        assert box["x"] + box["width"] <= width
