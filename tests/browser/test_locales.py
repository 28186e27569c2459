"""Numbers and dates of the chart page in the reader's language, and what stays in the API's form."""

from __future__ import annotations

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, Page, expect

from tests.support.chart_axes import READ, RECORD
from tests.support.chart_reader import expect_bars, facts_of, pane_legend, query_of

SERIES = "symbol=NASDAQ:AAPL&timeframe=1D&n_bars=1500"


def open_chart(
    open_context: Callable[..., BrowserContext], site: str, locale: str, rest: str = ""
) -> Page:
    page = open_context(locale=locale).new_page()
    page.add_init_script(RECORD)
    page.goto(f"{site}/?{SERIES}{rest}")
    expect_bars(page, "NASDAQ:AAPL")
    return page


def axis_texts(page: Page) -> list[list[str]]:
    """Return the texts at the axis of each pane."""
    return [[item["text"] for item in texts] for texts in page.evaluate(READ)]


def last_bar(page: Page, site: str) -> dict[str, float]:
    columns = page.request.get(f"{site}/api/tv/ohlc?{SERIES}&format=columns").json()["ohlc"]
    return {name: values[-1] for name, values in columns.items()}


def test_a_german_chart_has_german_numbers_and_dates_at_every_axis_and_keeps_the_link(
    open_context: Callable[..., BrowserContext], site: str
) -> None:
    page = open_chart(open_context, site, "de-DE", "&studies=bb:20:2.5,rsi:14")
    bar = last_bar(page, site)
    close = f"{bar['close']:.2f}".replace(".", ",")

    expect(page.locator("#legend-values")).to_contain_text(f"C {close}")
    expect(page.locator("#legend-values")).to_contain_text(re.compile(r"[+−]?\d+,\d\d\s%\)"))
    expect(page.locator("#legend-studies")).to_contain_text("BB 20 2,5")
    when = page.locator(".legend-time").inner_text()
    assert re.fullmatch(r"(Mo|Di|Mi|Do|Fr)\.?, \d{1,2}\. [A-Z][a-zä]+\.? 20\d\d", when), when
    prices, _, index = axis_texts(page)
    assert close in prices
    strength = pane_legend(page, 2).locator(".number").inner_text()
    assert re.fullmatch(r"\d+,\d\d", strength)
    marks = [float(text.replace(",", ".")) for text in index if re.fullmatch(r"\d+,\d", text)]
    assert any(abs(mark - float(strength.replace(",", "."))) < 0.06 for mark in marks)
    page.locator("#scale input[value=percent]").check(force=True)
    assert any(re.fullmatch(r"−?[\d.]+,\d\d\s%", text) for text in axis_texts(page)[0])

    # What is copied is in the API's form.
    assert facts_of(page)["Bars"] == "1.500"
    assert query_of(page)["n_bars"] == "1500"
    assert query_of(page)["studies"] == "bb:20:2.5,rsi:14"
    expect(page.locator("[data-lines=curl] code")).to_contain_text("n_bars=1500")
    page.get_by_role("button", name="Indicators").click()
    width = page.get_by_label("Bollinger bands: width")
    width.fill("1.5")
    width.press("Tab")
    expect(page.locator("#legend-studies")).to_contain_text("BB 20 1,5")


def test_a_language_with_other_digits_and_another_calendar_has_latin_digits_and_gregorian_years(
    open_context: Callable[..., BrowserContext], site: str
) -> None:
    page = open_chart(open_context, site, "fa-IR")
    bar = last_bar(page, site)

    written = page.locator("#legend-values").inner_text()
    assert re.sub(r"[^\d]", "", f"{bar['close']:.2f}") in re.sub(r"[^\d\s]", "", written)
    assert re.search(r"\b20[2-9]\d\b", page.locator(".legend-time").inner_text())
    texts = written + "".join(text for pane in axis_texts(page) for text in pane)
    assert not re.search(r"[\u06f0-\u06f9\u0660-\u0669]", texts)
    # Price and month keep their meaning in every language.
    script = (
        "async () => (await import('/static/js/shared/numbers.js')).priceFormat(8)(-0.00002134)"
    )
    assert re.fullmatch(r"−0\D00002134", page.evaluate(script))


def test_a_month_is_a_word_in_a_language_that_writes_it_as_a_number(
    open_context: Callable[..., BrowserContext], site: str
) -> None:
    page = open_context(locale="bg-BG").new_page()
    page.goto(f"{site}/")
    script = """async () => {
      const { Labels } = await import('/static/js/shared/times.js');
      const bars = { time: [1772496000], day: [20515] };
      return new Labels({ choice: 'utc', instrument: {}, isIntraday: false, bars }).full(1772496000);
    }"""

    assert "март" in page.evaluate(script)
