"""What the chart page shows, for every test of it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Locator, Page, expect

# The colour of missing sessions.
SESSION_MISSING = {"light": [190, 24, 93], "dark": [244, 114, 182]}


def expect_bars(page: Page, full_symbol: str, *, source: str = "") -> None:
    """Wait until the bars of this symbol are drawn."""
    expect(page.locator("#legend-symbol")).to_have_text(full_symbol)
    expect(page.locator("#stage")).not_to_have_attribute("aria-busy", "true")
    expect(page.locator("#overlay-busy")).to_be_hidden()
    expect(page.locator("#overlay-problem")).to_be_hidden()
    # The page loads its other parts after the first candles.
    expect(page.locator("#drawing-open")).to_be_enabled()
    assert n_colored_pixels(page) > 500


def n_colored_pixels(page: Page) -> int:
    """Count the coloured pixels of the chart, which belong to the bars."""
    return int(
        page.evaluate(
            """() => {
              let count = 0;
              for (const canvas of document.querySelectorAll("#chart canvas")) {
                const { width, height } = canvas;
                if (!width || !height) continue;
                const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
                for (let i = 0; i < pixels.length; i += 4) {
                  const [r, g, b, a] = pixels.subarray(i, i + 4);
                  if (a > 60 && Math.max(r, g, b) - Math.min(r, g, b) > 60) count++;
                }
              }
              return count;
            }"""
        )
    )


def pane_legend(page: Page, pane: int) -> Locator:
    """Return the legend in the corner of a pane; the pane of the prices, which has the large legend, is 0."""
    return page.locator(f".pane-legend[data-pane='{pane}']")


def query_of(page: Page) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(page.url).query).items()}


def facts_of(page: Page) -> dict[str, str]:
    """Return the line under the chart as name → text."""
    pairs = page.locator("#facts-list div").evaluate_all(
        "groups => groups.map(group => [group.children[0].textContent, group.children[1].textContent])"
    )
    return dict(pairs)


def bars_reply(closes: list[float], **instrument: Any) -> dict[str, Any]:
    """Return a reply of the API in columns, with one flat bar an hour at these prices."""
    times = [1_700_000_400 + 3600 * i for i in range(len(closes))]
    columns = {"open": closes, "high": closes, "low": closes, "close": closes}
    return {
        "symbol": "FLAT", "exchange": "TEST", "timeframe": "1h", "count": len(closes), "dataset": 1,
        "ohlc": {"time": times, **columns, "volume": [1.0] * len(closes)}, "source": "sample", "cached": True,
        "fetched_at": "2026-01-01T00:00:00Z", "last_bar_final": True, "content_hash": "0" * 64,
        "session": "regular", "adjustment": "splits", "instrument": instrument,
    }  # fmt: skip


def band_pixels(page: Page, theme: str = "light") -> list[float]:
    """Return the x in the window of each pixel in the colour of missing sessions."""
    found: list[float] = page.evaluate(
        """async (color) => {
          await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
          const found = [];
          for (const canvas of document.querySelectorAll("#chart canvas")) {
            const { width, height } = canvas;
            if (!width || !height) continue;
            const left = canvas.getBoundingClientRect().left;
            const pixels = canvas.getContext("2d").getImageData(0, 0, width, height).data;
            for (let i = 0; i < pixels.length; i += 4) {
              if (color.every((value, n) => pixels[i + n] === value)) found.push(left + ((i / 4) % width) / devicePixelRatio);
            }
          }
          return found;
        }""",
        SESSION_MISSING[theme],
    )
    return found
