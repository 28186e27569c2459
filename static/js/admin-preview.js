// Draws a dataset's bars on its page in the admin.

const LINES = "rgba(128, 128, 128, 0.2)";

async function drawPreview(element) {
  const reply = await fetch(element.dataset.barsUrl);
  if (!reply.ok) {
    const problem = await reply.json();
    element.textContent = problem.detail;
    return;
  }
  const { ohlc, instrument } = await reply.json();
  const { createChart, CandlestickSeries, HistogramSeries } = window.LightweightCharts;
  const style = getComputedStyle(document.body);
  const chart = createChart(element, {
    autoSize: true,
    layout: { background: { color: "transparent" }, textColor: style.color, attributionLogo: true, fontFamily: style.fontFamily, panes: { separatorColor: LINES } },
    // In between, as it stands on light pages and on dark ones.
    grid: { vertLines: { color: LINES }, horzLines: { color: LINES } },
    rightPriceScale: { borderColor: LINES },
    timeScale: { timeVisible: true, borderColor: LINES },
  });
  const minMove = instrument.pricescale ? (instrument.minmov || 1) / instrument.pricescale : 0.01;
  const precision = Math.max(0, Math.round(Math.log10(instrument.pricescale || 100)));
  const candles = chart.addSeries(CandlestickSeries, { priceFormat: { type: "price", precision, minMove } });
  candles.setData(
    ohlc.time.map((time, index) => ({
      time,
      open: ohlc.open[index],
      high: ohlc.high[index],
      low: ohlc.low[index],
      close: ohlc.close[index],
    })),
  );
  if (instrument.has_volume) {
    const volume = chart.addSeries(HistogramSeries, { priceFormat: { type: "volume" } }, 1);
    volume.setData(
      ohlc.time.map((time, index) => (ohlc.volume[index] === null ? { time } : { time, value: ohlc.volume[index] })),
    );
    chart.panes()[1].setHeight(70);
  }
  chart.timeScale().fitContent();
}

document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".chart-preview").forEach(drawPreview);
});
