"""The newest bar shows its time of fetch, and the Fetch button fetches newer bars if they must exist."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Request, Route, expect

from tests.browser.conftest import FETCH_MS, serious_findings
from tests.support.chart_reader import expect_bars, facts_of

HOUR = timedelta(hours=1)


def utc(text: str) -> int:
    """Return the UNIX seconds of an instant in UTC."""
    return int(datetime.fromisoformat(f"{text}Z").timestamp())


def cut(route: Route, *, n_bars: int, age: timedelta) -> None:
    """Answer as the service would have answered at that time: without the newest bars."""
    response = route.fetch()
    if response.status != 200:
        # A busy machine fetches longer than the request waits, and the page sends it again.
        route.fulfill(response=response)
        return
    reply = response.json()
    reply["ohlc"] = {name: values[:-n_bars] for name, values in reply["ohlc"].items()}
    fetched = datetime.fromisoformat(reply["fetched_at"]) - age
    reply |= {"fetched_at": fetched.isoformat().replace("+00:00", "Z"), "last_bar_final": False}
    headers = response.headers | {"cache-status": "datasets; hit"}
    route.fulfill(json=reply, headers={"cache-status": headers["cache-status"]})


def watch(page: Page) -> list[dict[str, list[str]]]:
    """Return a list that collects the parameters of each request for bars."""
    asked: list[dict[str, list[str]]] = []

    def note(request: Request) -> None:
        if "/api/tv/ohlc" in request.url:
            asked.append(parse_qs(urlsplit(request.url).query))

    page.on("request", note)
    return asked


def test_the_newest_bar_shows_its_time_of_fetch_and_its_end(page: Page, site: str) -> None:
    now = datetime.now(UTC)
    page.clock.install(time=now)
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=200")
    expect_bars(page, "BINANCE:BTCUSDT")
    as_of = re.compile(r"^forming, as of \d\d:\d\d UTC$")
    expect(page.locator(".badge-forming")).to_have_text(as_of)

    page.clock.fast_forward(3600_000)

    # The page was not reloaded.
    expect(page.locator(".badge-forming")).to_have_text(re.compile(r"^incomplete, as of \d"))
    assert re.match(r"incomplete, as of \d", facts_of(page)["Last bar"])
    expect(page.locator(".badge-forming")).to_have_attribute("title", re.compile("has ended"))


def test_the_chart_says_how_many_bars_it_is_behind_and_updates(page: Page, site: str) -> None:
    def old(route: Route) -> None:
        reply = route.fetch().json()
        reply["ohlc"] = {name: values[:-6] for name, values in reply["ohlc"].items()}
        reply["last_bar_final"] = True
        headers = {"cache-status": "datasets; hit", "freshness": "behind", "lag-bars": "6"}
        route.fulfill(json=reply, headers=headers)

    page.request.get(
        f"{site}/api/tv/ohlc?symbol=BINANCE:BTCUSDT&n_bars=260&wait=60", timeout=FETCH_MS
    )
    page.route(re.compile(r"/api/tv/ohlc\?(?!.*max_age)"), old)
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=260")
    expect_bars(page, "BINANCE:BTCUSDT")
    button = page.get_by_role("button", name="6 bars behind · Update")
    expect(button).to_be_visible()
    assert serious_findings(page) == []
    asked = watch(page)
    page.unroute_all()

    button.click()

    expect(page.locator("#chart")).to_have_attribute("aria-label", re.compile(r", 260 bars"))
    expect(page.locator("#behind")).to_be_hidden()
    assert asked[0]["max_age"] == ["0"]


def test_the_chart_says_until_when_a_market_is_closed(page: Page, site: str) -> None:
    opens = datetime.now(UTC).replace(hour=14, minute=30) + timedelta(days=2)

    def closed(route: Route) -> None:
        route.fulfill(
            json=route.fetch().json(),
            headers={"cache-status": "datasets; hit", "market-opens-at": f"{opens:%Y-%m-%dT%H:%M:00Z}"},
        )  # fmt: skip

    page.request.get(
        f"{site}/api/tv/ohlc?symbol=BINANCE:BTCUSDT&n_bars=260&wait=60", timeout=FETCH_MS
    )
    page.route(re.compile(r"/api/tv/ohlc\?"), closed)
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=260")
    expect_bars(page, "BINANCE:BTCUSDT")

    assert facts_of(page)["Market"] == f"closed until {opens:%a, %b %-d}, 14:30 UTC"
    expect(page.locator("#status")).to_contain_text(f"closed until {opens:%a, %b %-d}, 14:30 UTC")


def test_an_open_chart_says_when_newer_bars_exist(page: Page, site: str) -> None:
    page.clock.install(time=datetime.now(UTC))
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=260")
    expect_bars(page, "BINANCE:BTCUSDT")
    expect(page.locator("#behind")).to_be_hidden()

    def late(route: Route) -> None:
        reply = route.fetch().json()
        reply["freshness"]["lag_bars"] = 1
        route.fulfill(json=reply)

    page.route(re.compile(r"/api/tv/series/\d+$"), late)
    page.clock.fast_forward(2 * 3600_000)

    expect(page.locator("#behind")).to_have_text("1 bar behind · Update")


def test_the_button_fetches_newer_bars_if_they_must_exist(page: Page, site: str) -> None:
    series = "symbol=BINANCE:BTCUSDT&timeframe=1h&n_bars=250"
    newest = page.request.get(f"{site}/api/tv/ohlc?{series}&format=columns").json()["ohlc"]
    page.route(
        re.compile(r"/api/tv/ohlc\?(?!.*max_age)"), lambda route: cut(route, n_bars=3, age=3 * HOUR)
    )
    page.goto(f"{site}/?{series}")
    expect_bars(page, "BINANCE:BTCUSDT")
    assert facts_of(page)["Bars"] == "247 (250 requested)"
    asked = watch(page)

    page.get_by_role("button", name="Fetch", exact=True).click()

    expect_bars(page, "BINANCE:BTCUSDT")
    expect(page.locator("#facts-list")).not_to_contain_text("247")
    expect(page.locator("#legend-values")).to_contain_text(f"C {newest['close'][-1]:,.2f}")
    first, second = asked
    assert "max_age" not in first
    assert "use_cache" not in second
    # A dataset that was fetched after the beginning of the first missing bar is new enough.
    begun = newest["time"][-4] + 3600
    assert int(second["max_age"][0]) == pytest.approx(datetime.now(UTC).timestamp() - begun, abs=20)


def test_the_button_sends_one_request_if_the_stored_bars_are_the_newest(
    page: Page, site: str
) -> None:
    address = f"{site}/?symbol=BINANCE:BTCUSDT&timeframe=1D&n_bars=260"
    page.goto(address)
    expect_bars(page, "BINANCE:BTCUSDT")
    asked = watch(page)

    page.get_by_role("button", name="Fetch", exact=True).click()
    expect(page.locator("#facts-list")).to_contain_text("Fromthe cache")
    expect_bars(page, "BINANCE:BTCUSDT")

    assert [parameters.get("max_age") for parameters in asked] == [None]
    assert "use_cache" not in asked[0]


def test_a_failed_fetch_of_newer_bars_leaves_the_older_bars(page: Page, site: str) -> None:
    problem = {"title": "", "detail": "The feed is down.", "code": "feed_unreachable", "retryable": True}  # fmt: skip
    old = re.compile(r"/api/tv/ohlc\?(?!.*max_age)")
    page.route(old, lambda route: cut(route, n_bars=3, age=3 * HOUR))
    page.route(re.compile(r"max_age="), lambda route: route.fulfill(status=500, json=problem))
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=250")
    expect_bars(page, "BINANCE:BTCUSDT")

    page.get_by_role("button", name="Fetch", exact=True).click()

    expect(page.get_by_role("alert")).to_contain_text("The feed is down.")
    expect(page.locator("#legend-symbol")).to_have_text("BINANCE:BTCUSDT")
    assert facts_of(page)["Bars"] == "247 (250 requested)"


def test_a_pinned_dataset_is_shown_without_a_refusal(page: Page, site: str) -> None:
    problem = {
        "title": "Invalid request", "detail": "It is pinned.", "code": "invalid_request",
        "retryable": False, "errors": {"use_cache": ["It is pinned."]},
    }  # fmt: skip
    old = re.compile(r"/api/tv/ohlc\?(?!.*max_age)")
    page.route(old, lambda route: cut(route, n_bars=3, age=3 * HOUR))
    page.route(re.compile(r"max_age="), lambda route: route.fulfill(status=400, json=problem))
    page.goto(f"{site}/?symbol=BINANCE:BTCUSDT&n_bars=250")
    expect_bars(page, "BINANCE:BTCUSDT")

    page.get_by_role("button", name="Fetch", exact=True).click()

    expect(page.locator("#status")).to_have_text("It is pinned.")
    expect_bars(page, "BINANCE:BTCUSDT")


@pytest.fixture
def overdue(page: Page, site: str) -> Callable[..., int | None]:
    """Return a function that calls the page's module: for how many seconds must newer data exist?"""
    page.goto(f"{site}/")
    script = "async ([shown, now]) => (await import('/static/js/bars/newest.js')).overdueFor(shown, now * 1000)"

    def call(
        hours: str, timeframe: str, *, last: str, fetched: str, now: str, **rest: Any
    ) -> int | None:
        instrument = {"timezone": "America/New_York", "session_hours": hours}
        shown = {
            "bars": {"time": [utc(last)], "length": 1}, "timeframe": timeframe, "fetchedAt": f"{fetched}Z",
            "instrument": instrument | rest.pop("instrument", {}), "isForming": False,
        } | rest  # fmt: skip
        found: int | None = page.evaluate(script, [shown, utc(now)])
        return found

    return call


# 2025-03-07 is a Friday, and the clocks of New York change on the Sunday after it.
@pytest.mark.parametrize(
    ("hours", "timeframe", "last", "fetched", "now", "is_due"),
    [
        ("24x7", "1h", "2025-03-07T10:00", "2025-03-07T10:20", "2025-03-07T10:59", False),
        ("24x7", "1h", "2025-03-07T10:00", "2025-03-07T10:20", "2025-03-07T11:01", True),
        ("0930-1600", "30", "2025-03-07T20:30", "2025-03-07T21:05", "2025-03-08T15:00", False),
        ("0930-1600", "30", "2025-03-07T20:30", "2025-03-07T21:05", "2025-03-10T13:29", False),
        ("0930-1600", "30", "2025-03-07T20:30", "2025-03-07T21:05", "2025-03-10T13:31", True),
        ("0930-1600", "1D", "2025-03-07T14:30", "2025-03-07T21:05", "2025-03-09T20:00", False),
        ("0930-1600", "1D", "2025-03-07T14:30", "2025-03-07T21:05", "2025-03-10T13:31", True),
        # A holiday: a fetch during the usual hours returned nothing newer.
        ("0930-1600", "30", "2025-03-07T20:30", "2025-03-10T15:00", "2025-03-10T15:20", False),
        ("0930-1600", "30", "2025-03-07T20:30", "2025-03-10T15:00", "2025-03-10T15:31", True),
        # Currencies open on Sunday evening.
        ("1700-1700", "1h", "2025-03-07T21:00", "2025-03-07T22:05", "2025-03-09T20:59", False),
        ("1700-1700", "1h", "2025-03-07T21:00", "2025-03-07T22:05", "2025-03-09T21:01", True),
        # With unreadable hours nothing is certain.
        ("", "1h", "2025-03-07T10:00", "2025-03-07T10:20", "2025-03-17T11:01", False),
        ("nonsense", "1h", "2025-03-07T10:00", "2025-03-07T10:20", "2025-03-17T11:01", False),
    ],
)  # fmt: skip
def test_a_newer_bar_must_exist_only_where_the_market_has_been_open(
    hours: str, timeframe: str, last: str, fetched: str, now: str, is_due: bool, overdue: Callable[..., int | None]
) -> None:  # fmt: skip
    found = overdue(hours, timeframe, last=last, fetched=fetched, now=now)

    assert (found is not None) == is_due


def test_a_bar_at_the_end_of_its_session_is_due_and_later_for_a_delayed_feed(
    overdue: Callable[..., int | None],
) -> None:
    day = {"last": "2025-03-07T14:30", "fetched": "2025-03-07T18:00", "isForming": True}

    assert overdue("0930-1600", "1D", now="2025-03-07T20:59", **day) is None
    assert overdue("0930-1600", "1D", now="2025-03-07T21:01", **day) == 55
    late = {"instrument": {"delay_s": 900}}
    assert overdue("0930-1600", "1D", now="2025-03-07T21:01", **day, **late) is None
    assert overdue("0930-1600", "1D", now="2025-03-07T21:16", **day, **late) == 55
