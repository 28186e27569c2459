"""The pages that list datasets and fetches, in a real browser against the real stack."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import DESKTOP, FETCH_MS, PHONE, save_screenshot, serious_findings

ADMIN = ("admin", "a password of the tests")
# Other tests share the site: only these tests use bars of 30 minutes.
SERIES = [
    "symbol=BINANCE:BTCUSDT&n_bars=3000", "symbol=NASDAQ:AAPL&timeframe=1D&n_bars=700",
    "symbol=OANDA:EURUSD&timeframe=15&n_bars=900", "symbol=BINANCE:ETHUSDT&timeframe=4h&n_bars=500",
    "symbol=NASDAQ:MSFT&timeframe=30&n_bars=200", "symbol=NASDAQ:AAPL&timeframe=30&n_bars=600",
    "symbol=NASDAQ:AAPL&timeframe=30&n_bars=600&session=extended",
]  # fmt: skip


@pytest.fixture(scope="session")
def filled(site: str, browser: Browser) -> str:
    """The site, with some datasets and a failed fetch."""
    context = browser.new_context()
    for series in SERIES:
        assert context.request.get(f"{site}/api/tv/ohlc?{series}&wait=60", timeout=FETCH_MS).ok
    assert (
        context.request.get(
            f"{site}/api/tv/ohlc?symbol=BINANCE:NOSUCH&wait=60", timeout=FETCH_MS
        ).status
        == 500
    )
    context.close()
    return site


@pytest.fixture
def quiet(page: Page, site: str) -> Iterator[Page]:
    """A page that fails the test on a refused request, a logged error, or a call to another host."""
    hosts: set[str] = set()
    errors: list[str] = []
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    yield page
    assert errors == []
    assert hosts - {""} == {urlsplit(site).netloc}


def sign_in(page: Page, site: str, address: str) -> None:
    page.goto(f"{site}/login/?next={address}")
    page.get_by_label("Username").fill(ADMIN[0])
    page.get_by_label("Password").fill(ADMIN[1])
    page.keyboard.press("Enter")
    page.wait_for_url(f"{site}{address}")


def wait_for_drawings(page: Page) -> None:
    """Wait until every visible sparkline is loaded; raise an error if one cannot be shown."""
    page.evaluate(
        """Promise.all([...document.images]
          .filter((image) => image.getBoundingClientRect().top < innerHeight)
          .map((image) => image.decode()))"""
    )


def test_typing_searches_the_list_and_changes_the_address(quiet: Page, filled: str) -> None:
    quiet.goto(f"{filled}/datasets/?timeframe=30")
    wait_for_drawings(quiet)
    # With scripts, each change of a filter acts at once.
    expect(quiet.get_by_role("button", name="Filter")).to_be_hidden()

    quiet.keyboard.press("/")
    quiet.keyboard.type("apple")

    expect(quiet.locator("#results tbody tr")).to_have_count(2)
    expect(quiet).to_have_url(re.compile(r"\?q=apple&timeframe=30$"))
    expect(quiet.get_by_label("Search")).to_be_focused()
    quiet.get_by_label("State", exact=True).select_option("corrupt")
    expect(quiet.get_by_role("heading", name="Nothing found")).to_be_visible()
    quiet.get_by_label("State", exact=True).select_option("ready")
    quiet.get_by_role("link", name="NASDAQ:AAPL", exact=True).first.click()
    expect(quiet.locator(".chart-preview canvas").first).to_be_visible()


def test_the_list_works_without_javascript(
    filled: str, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(java_script_enabled=False).new_page()
    page.goto(f"{filled}/datasets/?timeframe=30")

    page.get_by_label("Search").fill("microsoft")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("#results tbody tr")).to_have_count(1)
    with page.expect_download() as download:
        page.get_by_role("button", name="Get NASDAQ:MSFT, 30m, 200 bars").click()
        page.get_by_role("link", name="CSV").click()
    assert download.value.suggested_filename == "NASDAQ_MSFT_30_200.csv"
    page.get_by_role("link", name="Clear").click()
    page.get_by_role("link", name="Size").click()
    expect(page.locator("[aria-sort=descending]")).to_have_text("Size↓")
    page.goto(f"{filled}/datasets/1/")
    expect(page.get_by_role("img", name="Closes of ")).to_be_visible()
    expect(page.locator(".chart-preview")).to_be_hidden()
    page.goto(f"{filled}/fetches/")
    expect(page.get_by_role("link", name="Reload")).to_be_visible()
    page.goto(filled)
    expect(page.get_by_role("heading", name="The chart needs JavaScript")).to_be_visible()
    # Without scripts this form could do nothing.
    expect(page.locator("#fetch-form")).to_be_hidden()


def test_no_page_is_wider_than_its_window(filled: str, page: Page) -> None:
    # A long name without spaces.
    long = "BINANCE:BTCUSDT/BINANCE:ETHUSDT&n_bars=20"
    assert page.request.get(f"{filled}/api/tv/ohlc?symbol={long}&wait=60", timeout=FETCH_MS).ok
    sign_in(page, filled, "/datasets/")

    for address in ["/datasets/", "/fetches/", "/datasets/1/", "/?symbol=BINANCE:BTCUSDT&n_bars=3000"]:  # fmt: skip
        page.goto(f"{filled}{address}")
        for width in [320, 390, 760, 900, 1081, 1280]:
            page.set_viewport_size({"width": width, "height": 800})
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)


def test_the_list_can_be_sorted_on_a_phone(
    filled: str, open_context: Callable[..., BrowserContext]
) -> None:
    page = open_context(viewport=PHONE).new_page()
    page.goto(f"{filled}/datasets/?timeframe=30")

    page.get_by_role("link", name="Bars").click()

    expect(page.locator("[aria-sort=descending]")).to_have_text("Bars↓")
    expect(page.locator("#results tbody .col-bars").last).to_contain_text("200")
    # The quality is shown here too.
    expect(page.locator("#results tbody .col-quality").first).to_be_visible()


def test_lines_are_copied(filled: str, open_context: Callable[..., BrowserContext]) -> None:
    context = open_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{filled}/datasets/?exchange=OANDA&timeframe=15")

    page.get_by_role("button", name="Get OANDA:EURUSD, 15m, 900 bars").click()
    page.get_by_role("button", name="curl").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()

    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("curl -f -o OANDA_EURUSD_15_900.csv 'http://127.0.0.1:")
    assert "symbol=EURUSD&exchange=OANDA&timeframe=15m&n_bars=900&format=csv" in copied


def test_staff_choose_several_and_fetch_them_again(quiet: Page, filled: str) -> None:
    sign_in(quiet, filled, "/datasets/?timeframe=30")
    expect(quiet.get_by_role("button", name="Fetch again")).to_be_disabled()

    quiet.get_by_label("Choose all on this page").check()
    expect(quiet.locator("#chosen")).to_have_text("3 chosen")
    quiet.get_by_label("Choose NASDAQ:MSFT").uncheck()
    quiet.get_by_role("button", name="Fetch again").click()

    expect(quiet.locator(".message")).to_have_text("2 datasets queued to be fetched again.")
    assert serious_findings(quiet) == []
    expect(quiet).to_have_url(re.compile("timeframe=30"))
    quiet.goto(f"{filled}/fetches/")
    rows = quiet.locator("#fetch-rows tr")
    expect(rows.first).to_contain_text("admin (page)")
    # Without a reload of the page.
    expect(rows.nth(0)).to_contain_text("succeeded")
    expect(rows.nth(1)).to_contain_text("succeeded")


def test_a_new_fetch_appears_without_a_reload(quiet: Page, filled: str) -> None:
    quiet.clock.install()
    quiet.goto(f"{filled}/fetches/")
    quiet.locator("#fetch-rows tr").last.evaluate("row => { row.isTheSame = true }")
    quiet.get_by_label("Search").focus()

    quiet.request.get(
        f"{filled}/api/tv/ohlc?symbol=BINANCE:DOTUSDT&n_bars=150&wait=60", timeout=FETCH_MS
    )
    quiet.clock.run_for(6000)

    expect(quiet.locator("#fetch-rows tr").first).to_contain_text("150 bars in")
    assert quiet.locator("#fetch-rows tr").last.evaluate("row => row.isTheSame")
    expect(quiet.get_by_label("Search")).to_be_focused()
    quiet.get_by_role("button", name="Live").click()
    expect(quiet.get_by_role("button", name="Live")).to_have_attribute("aria-pressed", "false")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_each_page_looks_right_and_axe_finds_nothing_serious(
    theme: str, device: str, filled: str, open_context: Callable[..., BrowserContext]
) -> None:
    viewport = PHONE if device == "phone" else DESKTOP
    page = open_context(viewport=viewport, color_scheme=theme).new_page()
    sign_in(page, filled, "/datasets/")
    wait_for_drawings(page)
    kind = f"{'phone-' if device == 'phone' else ''}{theme}"

    save_screenshot(page, f"datasets-{kind}")
    assert serious_findings(page) == []
    page.get_by_role("button", name="Get ").first.click()
    assert serious_findings(page) == []
    page.goto(f"{filled}/datasets/?q=nothing+like+it")
    assert serious_findings(page) == []
    page.goto(f"{filled}/datasets/1/")
    expect(page.locator(".chart-preview canvas").first).to_be_visible()
    save_screenshot(page, f"dataset-{kind}")
    assert serious_findings(page) == []
    page.goto(f"{filled}/fetches/")
    expect(page.get_by_role("button", name="Live")).to_be_visible()
    save_screenshot(page, f"fetches-{kind}")
    assert serious_findings(page) == []


def test_the_page_of_a_missing_dataset_links_to_the_list(page: Page, filled: str) -> None:
    reply = page.goto(f"{filled}/datasets/987654/")

    assert reply is not None and reply.status == 404
    expect(page.get_by_role("heading", level=1)).to_have_text("There is no dataset 987654")
    assert serious_findings(page) == []
    page.get_by_role("link", name="All datasets").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Datasets")
