"""The page and the service use one canonical spelling of a symbol."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page

from datasets.bars import canonical_name


@pytest.mark.parametrize(
    "text", ["btcusdt", "BTCUſDT", "straße", "i̇x", "café", "cafe\u0301", " 币安人生usdt.p "]
)
def test_the_page_spells_a_symbol_as_the_service_does(page: Page, site: str, text: str) -> None:
    page.goto(f"{site}/")

    script = "async (text) => (await import('/static/js/symbols/names.js')).canonicalName(text)"
    assert page.evaluate(script, text) == canonical_name(text)
