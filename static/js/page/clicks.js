// Which part of the page gets a click on the chart. A click on a drawing does not get here: the chart library does not see it.

/** Gives each click on `chart` (a BarChart) to the choice of an anchor while it waits for one, else to the panel of alerts. */
export function shareClicks(chart, { anchors, alerts }) {
  chart.watchClicks(({ index, price }) => anchors.take(index) || alerts.take(price));
}
