// The chart on the page of one dataset, and on its page in the admin.

import { shownOf } from "./bars/chart-state.js";
import { BarChart } from "./chart/chart.js";
import { loadKept } from "./shared/api.js";
import { watchColors } from "./shared/colors.js";

const preview = document.querySelector(".chart-preview");

async function draw() {
  const reply = await loadKept(preview.dataset.barsUrl);
  const chart = new BarChart(preview, { onCrosshair: () => {} });
  chart.show(shownOf(reply, { series: {} }));
  chart.showAll();
  watchColors(() => chart.refreshTheme());
}

if (preview) {
  draw().catch((problem) => {
    preview.textContent = problem.message;
    if (!("code" in problem)) throw problem;
  });
}
