"""What the chart writes at its axes: read as it is painted, pane by pane."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from playwright.sync_api import Page

# Records the texts of each canvas in the newest frame that painted it.
RECORD = """
window.painted = new Map();
const fillText = CanvasRenderingContext2D.prototype.fillText;
CanvasRenderingContext2D.prototype.fillText = function (text, x, y, ...rest) {
  const frame = document.timeline.currentTime;
  let last = window.painted.get(this.canvas);
  if (last?.frame !== frame) window.painted.set(this.canvas, (last = { frame, texts: [] }));
  last.texts.push({ text, color: this.fillStyle, y: this.getTransform().transformPoint({ x, y }).y / devicePixelRatio });
  return fillText.call(this, text, x, y, ...rest);
};
"""
# The panes are rows of a table, and their right axis is the third cell; between them are separators.
READ = """
async () => {
  await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(done))));
  const rows = [...document.querySelectorAll("#chart table tr")].filter((row) => row.cells.length === 3);
  // The last row is the time axis.
  return rows.slice(0, -1).map((row) => [...row.cells[2].querySelectorAll("canvas")].flatMap((canvas) => window.painted.get(canvas)?.texts ?? []));
}
"""
_UNITS = {"": 1.0, "K": 1e3, "M": 1e6, "B": 1e9}


@dataclass(frozen=True)
class Mark:
    """One text at an axis, and its distance below the top of the pane."""

    text: str
    y: float

    @property
    def value(self) -> float:
        """Return the number in the text; fail for a text without a number."""
        plain = self.text.replace(",", "").replace("−", "-").removesuffix("%").strip()
        found = re.fullmatch(r"(-?[\d.]+)([KMB]?)", plain)
        assert found is not None, self.text
        return float(found[1]) * _UNITS[found[2]]


@dataclass(frozen=True)
class Axis:
    """A pane's axis: the marks of its scale, and the labels of its series' last values."""

    ticks: list[Mark]
    labels: list[Mark]

    def value_at(self, y: float, *, is_log: bool = False) -> float:
        """Return the value at this height, computed from the ticks."""
        values = np.array([mark.value for mark in self.ticks])
        slope, base = np.polyfit(
            [mark.y for mark in self.ticks], np.log(values) if is_log else values, 1
        )
        found = slope * y + base
        return float(np.exp(found)) if is_log else float(found)


def read_axes(page: Page) -> list[Axis]:
    """Return the painted axes of all panes; the pane of the prices is first."""
    panes = page.evaluate(READ)
    tick_color = page.evaluate("getComputedStyle(document.querySelector('#zone').labels[0]).color")
    channels = [int(number) for number in re.findall(r"\d+", tick_color)]
    muted = "#{:02x}{:02x}{:02x}".format(*channels)
    return [
        Axis(
            [Mark(item["text"], item["y"]) for item in texts if item["color"] == muted],
            [Mark(item["text"], item["y"]) for item in texts if item["color"] != muted],
        )
        for texts in panes
    ]
