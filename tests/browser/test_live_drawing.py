"""A chart that live bars have changed looks like one that is drawn from the same bars at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page

N = 120
STUDIES = "sma:5,macd:3:6:4,rsi:3,volume:5"
# Draws all bars but the last four. Then the last drawn bar changes, and the others come one by one, each with other values first.
DRAW = """
async ({ bars, type, scales, studies, isForming }) => {
  const { BarChart } = await import("/static/js/chart/chart.js");
  const { parseStudies } = await import("/static/js/studies/studies.js");
  const { priceFormat } = await import("/static/js/shared/numbers.js");
  const names = Object.keys(bars);
  const first = (count) => ({ ...Object.fromEntries(names.map((name) => [name, bars[name].slice(0, count)])), length: count, hasVolume: true });
  const barAt = (i, change) => ({ ...Object.fromEntries(names.map((name) => [name, bars[name][i]])), close: bars.close[i] + change });
  const chartOf = async (count, scale) => {
    const box = document.body.appendChild(document.createElement("div"));
    box.style.cssText = "position: fixed; inset: 0; width: 500px; height: 400px";
    const chart = new BarChart(box, { onCrosshair: () => {} });
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    chart.setView({ type, scale, studies: parseStudies(studies) });
    chart.show({ bars: first(count), timeframe: "60", instrument: null, step: 0.01, formatPrice: priceFormat(2), isForming: true, fetchedAt: "2026-11-27T10:00:00Z" });
    return [chart, box];
  };
  const heard = { heardAt: "2026-11-27T10:00:00Z", isForming: true };
  const [moved, movedBox] = await chartOf(bars.time.length - 4, scales[0]);
  for (let i = bars.time.length - 5; i < bars.time.length; i++) {
    moved.update([barAt(i, -0.01)], i, heard);
    moved.update([barAt(i, 0)], i, heard);
  }
  if (!isForming) moved.update([barAt(bars.time.length - 1, 0)], bars.time.length - 1, { ...heard, isForming });
  if (scales[1] !== scales[0]) moved.setView({ scale: scales[1] });
  const [whole, wholeBox] = await chartOf(bars.time.length, scales[1]);
  if (!isForming) whole.update([barAt(bars.time.length - 1, 0)], bars.time.length - 1, { ...heard, isForming });
  // The axes may have had different widths before.
  for (const chart of [moved, whole]) chart.showRange({ from: bars.time.at(-40), to: bars.time.at(-1) });
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
  const pixels = [moved, whole].map((chart) => {
    const canvas = chart.picture();
    return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  });
  let differing = 0;
  for (let i = 0; i < pixels[0].length; i += 4) if ([0, 1, 2].some((n) => pixels[0][i + n] !== pixels[1][i + n])) differing++;
  const colored = pixels[1].filter((_, i) => i % 4 === 0 && Math.abs(pixels[1][i] - pixels[1][i + 1]) > 60).length;
  movedBox.remove();
  wholeBox.remove();
  return { differing, colored, isSameSize: pixels[0].length === pixels[1].length };
}
"""


@pytest.fixture(scope="module")
def bars() -> dict[str, list[float]]:
    """Return bars of a market that moves, in columns."""
    random = np.random.default_rng(7)
    close = 100 + np.cumsum(random.normal(0, 1, N))
    begin = np.concatenate([[100], close[:-1]])
    columns: dict[str, Any] = {
        "time": 1_760_000_400 + 3600 * np.arange(N), "day": np.arange(N) // 24, "open": begin, "close": close,
        "high": np.maximum(begin, close) + 0.5, "low": np.minimum(begin, close) - 0.5,
        "volume": random.integers(100, 900, N),
    }  # fmt: skip
    return {name: column.tolist() for name, column in columns.items()}


def test_live_bars_leave_the_picture_of_a_chart_that_is_drawn_at_once(
    page: Page, site: str, bars: dict[str, list[float]]
) -> None:
    page.goto(f"{site}/")
    for type, scales, is_forming in [
        ("candles", ("linear", "linear"), True),
        ("bars", ("log", "log"), True),
        ("line", ("percent", "percent"), True),
        ("line", ("linear", "linear"), True),
        ("area", ("linear", "linear"), True),
        ("heikin-ashi", ("log", "log"), True),
        # A forming bar joins the others: the percent scale is chosen, or the bar ends.
        ("candles", ("linear", "percent"), True),
        ("candles", ("percent", "linear"), True),
        ("line", ("linear", "percent"), True),
        ("candles", ("linear", "linear"), False),
        ("bars", ("log", "log"), False),
    ]:
        options = {"bars": bars, "type": type, "scales": scales, "studies": STUDIES}

        found = page.evaluate(DRAW, options | {"isForming": is_forming})

        assert found["isSameSize"]
        assert found["colored"] > 500
        assert found["differing"] == 0, (type, scales, is_forming)
