"""The pages of one's own account and of the audit, in a real browser against the real stack."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.conftest import DESKTOP, KEPT, PHONE, serious_findings
from tests.browser.test_lists import sign_in


def test_a_person_makes_copies_and_revokes_a_token(
    site: str, open_context: Callable[..., BrowserContext]
) -> None:
    context = open_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{site}/fetches/")
    page.get_by_role("link", name="Sign in").click()
    expect(page).to_have_url(f"{site}/login/?next=/fetches/")
    sign_in(page, site, "/fetches/")
    page.get_by_role("link", name="Signed in as admin").click()

    page.get_by_label("Name of the program").fill("notebook")
    page.get_by_label("It may").select_option("fetch")
    page.get_by_role("button", name="Create", exact=True).click()
    page.get_by_role("button", name="Copy", exact=True).click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    secret = page.evaluate("navigator.clipboard.readText()")

    assert secret == page.locator("#token-secret").inner_text()
    headers = {"Authorization": f"Bearer {secret}"}
    assert page.request.get(f"{site}/api/tv/status", headers=headers).status == 200
    assert serious_findings(page) == []
    page.get_by_role("button", name="Revoke notebook").click()
    expect(page.get_by_text("is revoked and works no more")).to_be_visible()
    assert page.request.get(f"{site}/api/tv/status", headers=headers).status == 401
    page.get_by_role("link", name="Audit").click()
    expect(page.locator("tr.entry").first).to_contain_text("admin (page)")
    page.get_by_label("Change", exact=True).select_option("pinned")
    expect(page).to_have_url(re.compile("pinned"))
    # Other tests pin datasets of the same site.
    expect(page.locator("tr.entry").filter(has_text="notebook")).to_have_count(0)


@pytest.mark.slow
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_the_pages_about_people_fit_and_axe_finds_nothing_serious(
    theme: str, device: str, site: str, open_context: Callable[..., BrowserContext]
) -> None:
    viewport = PHONE if device == "phone" else DESKTOP
    page = open_context(viewport=viewport, color_scheme=theme).new_page()
    kind = f"{'phone-' if device == 'phone' else ''}{theme}"
    sign_in(page, site, "/account/")
    page.get_by_label("Name of the program").fill(f"machine {kind}")
    page.get_by_role("button", name="Create", exact=True).click()

    for address, name in [("/account/", "account"), ("/audit/", "audit")]:
        page.goto(f"{site}{address}")
        assert serious_findings(page) == []
        page.screenshot(path=KEPT / f"{name}-{kind}.png")
        for width in [320, 390, 760, 900, 1081, 1280]:
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)
        page.set_viewport_size(viewport)


def test_the_account_page_works_without_javascript(
    site: str, open_context: Callable[..., BrowserContext]
) -> None:
    page: Page = open_context(java_script_enabled=False).new_page()
    sign_in(page, site, "/account/")

    page.get_by_label("Name of the program").fill("plain")
    page.get_by_role("button", name="Create", exact=True).click()

    expect(page.locator("#token-secret")).to_contain_text("tv_")
    page.get_by_role("button", name="Revoke plain").click()
    expect(page.get_by_text("is revoked and works no more")).to_be_visible()
