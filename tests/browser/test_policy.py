"""No page violates its Content-Security-Policy or calls another host."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

ADMIN = ("admin", "a password of the tests")
# Collects the reports of the browser over the page's whole life.
LISTEN = """
window.refused = [];
document.addEventListener("securitypolicyviolation", (event) =>
  window.refused.push(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile}:${event.lineNumber}`));
"""


@pytest.fixture
def watched(page: Page, site: str) -> Iterator[Page]:
    """A page that fails the test on a refused request, a logged error, or a call to another host."""
    hosts: set[str] = set()
    errors: list[str] = []
    page.add_init_script(LISTEN)
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on(
        "console", lambda message: errors.append(message.text) if message.type == "error" else None
    )
    yield page
    assert page.evaluate("window.refused") == []
    assert errors == []
    # `data:` and `blob:` have no host.
    assert hosts - {""} == {urlsplit(site).netloc}


def sign_in(page: Page, site: str, address: str) -> None:
    page.goto(f"{site}{address}")
    name, password = ADMIN
    page.get_by_label("Username").fill(name)
    page.get_by_label("Password").fill(password)
    page.keyboard.press("Enter")


def test_the_documentation_is_drawn_and_can_call_the_api(watched: Page, site: str) -> None:
    watched.goto(f"{site}/api/docs/")

    expect(watched.get_by_role("heading", name="TradingView dataset service")).to_be_visible()
    watched.locator("#operations-status-status_retrieve, [id^=operations-status]").first.click()
    watched.get_by_role("button", name="Try it out").click()
    watched.get_by_role("button", name="Execute").click()
    expect(watched.locator(".live-responses-table .response-col_status").last).to_contain_text(
        "200"
    )


def test_the_chart_is_drawn(watched: Page, site: str) -> None:
    watched.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=200")

    expect(watched.locator("#legend-symbol")).to_have_text("BINANCE:BTCUSDT")
    expect(watched.locator("#tv-attr-logo")).to_have_css("position", "absolute")


def test_the_admin_works(watched: Page, site: str) -> None:
    watched.request.get(f"{site}/api/tv/ohlc?symbol=BINANCE:BTCUSDT&n_bars=200")
    sign_in(watched, site, "/admin/")
    expect(watched.locator("#service-status")).to_be_visible()

    watched.get_by_role("link", name="Datasets", exact=True).first.click()
    watched.locator("#result_list tbody a").first.click()
    expect(watched.locator(".chart-preview canvas").first).to_be_visible()
    watched.goto(f"{site}/admin/auth/user/1/change/")
    expect(watched.locator(".selector").first).to_be_visible()


def test_a_token_is_created_in_the_admin(watched: Page, site: str) -> None:
    sign_in(watched, site, "/admin/login/?next=/admin/datasets/apitoken/add/")
    watched.get_by_label("Name").fill("nightly")
    watched.locator("#id_expires_at_0").fill("2099-01-01")
    watched.get_by_role("button", name="Save", exact=True).click()

    secret = watched.locator("#token-secret").inner_text()
    reply = watched.request.get(
        f"{site}/api/tv/status", headers={"Authorization": f"Bearer {secret}"}
    )
    assert reply.status == 200


def test_a_person_signs_in_and_out(watched: Page, site: str) -> None:
    sign_in(watched, site, "/login/")
    expect(watched.locator("#fetch-form")).to_be_visible()
    watched.get_by_role("button", name="Sign out").click()
    expect(watched.locator("#fetch-form")).to_be_visible()
    expect(watched.get_by_role("button", name="Sign out")).to_be_hidden()


@pytest.mark.parametrize("address", ["/login/", "/nothing/here"])
def test_a_short_page_has_a_style_sheet(page: Page, site: str, address: str) -> None:
    page.add_init_script(LISTEN)

    page.goto(f"{site}{address}")

    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator(".plain")).to_have_css("max-width", "416px")
    assert page.evaluate("window.refused") == []
