"""Drawings of a signed-in user in several browsers: the service keeps them, and no browser loses one."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
import requests
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.conftest import WAIT_MS
from tests.browser.test_drawings import END, QUERY, START, SYMBOL, drag, pixel
from tests.browser.test_lists import ADMIN, sign_in
from tests.support import stacks
from tests.support.chart_reader import expect_bars

Open = Callable[..., BrowserContext]
ADDRESS = "**/api/tv/drawings?*"
KEPT = "import('/static/js/drawings/kept.js')"
# What is in the copy of this browser.
COPIES = "Object.entries(localStorage).filter(([key]) => key.startsWith('datasets.drawings-of.')).map(([, text]) => JSON.parse(text))"


def served(site: str, drawings: list[Any] | None = None) -> list[Any]:
    """Return the drawings that the service keeps for the user, after replacing them if some are given."""
    address, auth = f"{site}/api/tv/drawings", b64encode(":".join(ADMIN).encode()).decode()
    headers = {"Authorization": f"Basic {auth}"}
    reply = requests.get(address, {"symbol": SYMBOL}, headers=headers, timeout=20)
    if drawings is not None:
        tag = reply.headers.get("ETag")
        headers |= {"If-Match": tag} if tag else {"If-None-Match": "*"}
        body = {"drawings": drawings}
        reply = requests.put(
            address, params={"symbol": SYMBOL}, json=body, headers=headers, timeout=20
        )
    assert reply.status_code == 200, reply.text
    found: list[Any] = reply.json()["drawings"]
    return found


@pytest.fixture(autouse=True)
def nothing_kept(site: str) -> None:
    served(site, [])


def open_chart(page: Page, site: str, *, is_signed_in: bool = True) -> Page:
    """Open the chart, and wait for the answer of the service if it keeps drawings."""
    if is_signed_in and not page.url.startswith(site):
        sign_in(page, site, "/account/")
    if is_signed_in:
        with page.expect_response(ADDRESS):
            page.goto(f"{site}/?{QUERY}")
    else:
        page.goto(f"{site}/?{QUERY}")
    expect_bars(page, SYMBOL)
    expect(page.locator("#drawing-open")).to_be_enabled()
    return page


def draw_level(page: Page, share: float) -> None:
    """Draw a horizontal line, and wait until this browser has it."""
    before = len(shown(page))
    page.keyboard.press("3")
    page.mouse.click(*pixel(page, (0.5, share)))
    expect_shown(page, before + 1)


def shown(page: Page) -> list[Any]:
    """Return the drawings that the page shows."""
    found: list[Any] = page.evaluate(f"{KEPT}.then(({{ drawingsOf }}) => drawingsOf('{SYMBOL}'))")
    return found


def wait_until(page: Page, condition: str) -> None:
    """Wait until the condition about the `drawings` of the page and their `base`, the service's list, is true."""
    page.evaluate(
        f"""{KEPT}.then(({{ copyOf }}) => new Promise((done, fail) => {{
          const end = performance.now() + {WAIT_MS};
          const look = () => {{
            const {{ drawings, base }} = copyOf("{SYMBOL}");
            if ({condition}) done();
            else if (performance.now() > end) fail(new Error(JSON.stringify({{ drawings, base }})));
            else requestAnimationFrame(look);
          }};
          look();
        }}))"""
    )


def expect_shown(page: Page, number: int) -> None:
    wait_until(page, f"drawings.length === {number}")


def expect_in_step(page: Page, number: int) -> None:
    """Wait until page and service have this number of drawings, by the copy of this browser."""
    same = "JSON.stringify(drawings) === JSON.stringify(base)"
    wait_until(page, f"drawings.length === {number} && {same}")


def ids(drawings: list[Any]) -> set[str]:
    return {drawing["id"] for drawing in drawings}


def test_a_drawing_of_one_computer_is_shown_on_the_next_one_and_so_is_its_removal(
    page: Page, site: str, open_context: Open
) -> None:
    open_chart(page, site)
    with page.expect_response(ADDRESS) as sent:
        page.keyboard.press("1")
        drag(page, START, END)
    assert sent.value.request.method == "PUT"
    expect_in_step(page, 1)

    other = open_chart(open_context().new_page(), site)
    expect_shown(other, 1)
    assert shown(other) == shown(page) == served(site)
    other.keyboard.press("d")
    other.keyboard.press("Delete")
    expect_in_step(other, 0)
    assert served(site) == []

    page.reload()
    expect_in_step(page, 0)
    assert page.evaluate(COPIES) == []


def test_changes_on_two_computers_at_a_time_are_all_kept_and_undo_takes_back_ones_own(
    page: Page, site: str, open_context: Open
) -> None:
    open_chart(page, site)
    draw_level(page, 0.3)
    draw_level(page, 0.4)
    expect_in_step(page, 2)
    other = open_chart(open_context().new_page(), site)
    expect_shown(other, 2)
    first, second = shown(page)

    # The first computer removes the first line and draws another one; the second computer does not know.
    page.keyboard.press("Escape")
    page.keyboard.press("d")
    page.keyboard.press("d")
    page.keyboard.press("Delete")
    draw_level(page, 0.25)
    expect_in_step(page, 2)
    assert first["id"] not in ids(served(site))
    with other.expect_response(lambda reply: reply.status == 412):
        draw_level(other, 0.5)
    expect_in_step(other, 3)

    assert ids(shown(other)) == ids(served(site))
    assert second["id"] in ids(served(site))
    # Undo removes the line that was drawn here, not the one that has come from the other computer.
    other.keyboard.press("Control+z")
    expect_in_step(other, 2)
    assert ids(served(site)) == ids(shown(page))


def test_without_a_connection_drawings_stay_in_the_browser_and_are_sent_when_it_returns(
    page: Page, site: str
) -> None:
    open_chart(page, site)
    problem = page.locator("#drawing-problem")
    page.context.set_offline(True)
    draw_level(page, 0.3)

    expect(problem).to_contain_text(
        "are not kept by the service yet: This device has no connection"
    )
    expect(problem).to_contain_text("This browser keeps them.")
    assert served(site) == []
    page.context.set_offline(False)

    expect(problem).to_be_hidden()
    expect_in_step(page, 1)
    assert served(site) == shown(page)


def test_a_refusal_is_said_and_the_next_visit_sends_what_was_not_sent(
    page: Page, site: str
) -> None:
    open_chart(page, site)
    problem = page.locator("#drawing-problem")
    refusal = '{"code": "busy", "detail": "Too many at once.", "status": 503}'
    page.route(
        ADDRESS, lambda route: route.fulfill(status=503, body=refusal, content_type="application/problem+json")
    )  # fmt: skip
    draw_level(page, 0.3)
    expect(problem).to_contain_text("are not kept by the service yet: Too many at once.")

    page.reload()
    expect(problem).to_contain_text("are not kept by the service yet: Too many at once.")
    expect_shown(page, 1)
    page.unroute(ADDRESS)
    page.reload()

    expect_in_step(page, 1)
    expect(problem).to_be_hidden()
    assert served(site) == shown(page)


def test_a_change_is_sent_when_the_page_is_left_within_the_pause(page: Page, site: str) -> None:
    open_chart(page, site)
    page.evaluate("() => { window.setTimeout = () => 0; }")  # the pause does not end
    draw_level(page, 0.3)

    page.goto(f"{site}/datasets/")

    assert len(stacks.wait_until(lambda: served(site), what="the drawing")) == 1


def test_drawings_without_sign_in_go_to_the_first_user_who_signs_in_and_only_to_that_one(
    page: Page, site: str
) -> None:
    requested: list[str] = []
    page.on("request", lambda request: requested.append(request.url))
    open_chart(page, site, is_signed_in=False)
    draw_level(page, 0.3)
    (unsigned,) = shown(page)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    page.goto(f"{site}/?{QUERY}")
    expect_shown(page, 1)
    assert not [address for address in requested if "/api/tv/drawings" in address]

    elsewhere = {"id": "elsewhere", "kind": "level", "points": [{"time": 1_700_000_000, "price": 1}]}  # fmt: skip
    served(site, [elsewhere])
    sign_in(page, site, "/account/")
    open_chart(page, site)
    expect_in_step(page, 2)

    assert shown(page) == served(site) == [elsewhere, unsigned]
    page.context.clear_cookies()
    open_chart(page, site, is_signed_in=False)
    assert shown(page) == []


def test_a_page_takes_nothing_from_another_user_who_has_signed_in_meanwhile(
    page: Page, site: str
) -> None:
    open_chart(page, site)
    draw_level(page, 0.3)
    expect_in_step(page, 1)
    kept = shown(page)

    def as_somebody_else(route: Route) -> None:
        reply = route.fetch()
        route.fulfill(response=reply, json={**reply.json(), "user": 999, "drawings": []})

    page.route(ADDRESS, as_somebody_else)
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    expect(page.locator("#drawing-problem")).to_contain_text("Another user has signed in")
    assert shown(page) == kept


def test_another_tab_shows_a_change_and_the_candles_do_not_wait_for_the_drawings(
    page: Page, site: str
) -> None:
    sign_in(page, site, "/account/")
    held: list[Route] = []
    page.route(ADDRESS, lambda route: held.append(route))
    page.goto(f"{site}/?{QUERY}")
    expect_bars(page, SYMBOL)
    painted = page.evaluate("performance.getEntriesByName('painted').length")
    assert painted > 0
    expect(page.locator("#drawing-open")).to_be_enabled()
    tab = page.context.new_page()
    tab.goto(f"{site}/?{QUERY}")
    expect_bars(tab, SYMBOL)
    expect(tab.locator("#drawing-open")).to_be_enabled()
    held[0].continue_()
    page.unroute(ADDRESS)

    draw_level(page, 0.3)
    expect_shown(tab, 1)
    expect_in_step(page, 1)
    draw_level(tab, 0.4)
    expect_shown(page, 2)
    expect_in_step(tab, 2)
    assert ids(served(site)) == ids(shown(page)) == ids(shown(tab))


def test_the_rule_for_two_changed_lists(page: Page, site: str) -> None:
    open_chart(page, site, is_signed_in=False)

    def drawing(name: str, price: float = 1) -> dict[str, Any]:
        return {"id": name, "kind": "level", "points": [{"time": 1, "price": price}]}

    def merged(base: list[Any], mine: list[Any], theirs: list[Any]) -> list[tuple[str, float]]:
        script = "([base, mine, theirs]) => import('/static/js/drawings/merge.js').then(({ merge }) => merge(base, mine, theirs))"
        found = page.evaluate(script, [base, mine, theirs])
        return [(entry["id"], entry["points"][0]["price"]) for entry in found]

    a, b, c = drawing("a"), drawing("b"), drawing("c")
    # Additions of both sides stay, the service's first.
    assert merged([a], [a, b], [a, c]) == [("a", 1), ("c", 1), ("b", 1)]
    # What one side has deleted and the other has not changed is deleted.
    assert merged([a, b], [b], [a, b]) == [("b", 1)]
    assert merged([a, b], [a, b], [b]) == [("b", 1)]
    # A change is kept where the other side has deleted the drawing.
    assert merged([a], [drawing("a", 2)], []) == [("a", 2)]
    assert merged([a], [], [drawing("a", 2)]) == [("a", 2)]
    # A change of one side is taken; of two, this browser's.
    assert merged([a], [a], [drawing("a", 3)]) == [("a", 3)]
    assert merged([a], [drawing("a", 2)], [drawing("a", 3)]) == [("a", 2)]
    assert merged([], [drawing("a", 2)], [drawing("a", 3)]) == [("a", 2)]
