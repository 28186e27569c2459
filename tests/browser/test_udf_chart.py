"""The chart library on bars of the datafeed, as a page of somebody else draws them."""

from __future__ import annotations

from playwright.sync_api import Page

DRAW = """
async () => {
  const { createChart, CandlestickSeries } = await import(
    '/static/lightweight-charts/lightweight-charts.standalone.production.mjs');
  const ask = async (path) => (await fetch(`/udf/${path}`)).json();
  const info = await ask('symbols?symbol=BINANCE%3ABTCUSDT');
  const now = Math.floor(Date.now() / 1000);
  const bars = await ask(
    `history?symbol=${encodeURIComponent(info.ticker)}&resolution=1D&from=${now}&to=${now + 86400}&countback=200`);
  document.body.innerHTML = '<div id="udf" style="width: 800px; height: 400px"></div>';
  const series = createChart(document.getElementById('udf')).addSeries(CandlestickSeries);
  // The library throws for times that are not in order or not unique.
  series.setData(bars.t.map((time, n) => (
    { time, open: bars.o[n], high: bars.h[n], low: bars.l[n], close: bars.c[n] })));
  const [newest] = (await ask(
    `history?symbol=${encodeURIComponent(info.ticker)}&resolution=1D&from=${now}&to=${now + 86400}&countback=2`)).t.slice(-1);
  return { status: bars.s, drawn: series.data().length, isNewest: newest === bars.t.at(-1) };
}
"""


def test_the_chart_library_draws_bars_of_the_datafeed(page: Page, site: str) -> None:
    page.goto(f"{site}/login/")

    found = page.evaluate(DRAW)

    assert found == {"status": "ok", "drawn": 200, "isNewest": True}
    assert page.locator("#udf canvas").count() > 0
