// Which part of the page gets a press or a click on the chart. A press that a drawing or the line of an alert takes is no
// click: the chart library does not see it.

/** Gives each click on `chart` (a BarChart) to the choice of an anchor while it waits for one, else to the panel of alerts. */
export function shareClicks(chart, { anchors, alerts }) {
  chart.watchClicks(({ index, price }) => anchors.take(index) || alerts.take(price));
}

/** Whether the line of an alert may take a press: not while an anchor is chosen, a drawing tool is in use, or a drawing is selected. */
export function mayDragLines({ anchors, drawings }) {
  return !anchors.isWaiting && !drawings.tool && drawings.selected === null;
}
