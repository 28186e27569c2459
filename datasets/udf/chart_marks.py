"""Marks on the bars, for revisions and splits, and on the time scale, for gaps."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np

from datasets.bars import BarLength, Timeframe
from datasets.calendars import MISSING, Calendar, Finding, find_gaps
from datasets.models import Revision, Series
from datasets.udf.bar_times import bars_for, times_of
from datasets.udf.held_series import HeldSeries

_MOST_MARKS = 500
# A bar has at most ten marks in the charting library.
_MOST_ON_A_BAR = 10
_COLORS = {"ratio": "blue", "offset": "blue", "unexplained": "red", "vanished": "red"}
_FIELDS = ("id", "time", "color", "text", "label", "labelFontColor", "minSize")


def revision_marks(
    held: HeldSeries, timeframe: Timeframe, from_s: int, to_s: int
) -> dict[str, Any]:
    """Return the revisions whose newest differing bar is in the range, as one list a field."""
    table: dict[str, list[Any]] = {name: [] for name in _FIELDS}
    if not isinstance(held.row, Series):
        return table
    found = list(
        held.row.revisions.exclude(last_time=None).order_by("-last_time", "-pk")[:_MOST_MARKS]
    )
    opens = [int(each.last_time.timestamp() * 1000) for each in found if each.last_time is not None]
    times = (
        times_of(np.array(opens[::-1], np.int64), held, timeframe)[::-1].tolist() if opens else []
    )
    on_bar: dict[int, int] = {}
    for revision, time in zip(found, times, strict=True):
        on_bar[time] = on_bar.get(time, 0) + 1
        if not from_s <= time <= to_s or on_bar[time] > _MOST_ON_A_BAR:
            continue
        color = _COLORS.get(revision.finding, "yellow")
        label = "S" if revision.is_split else revision.finding[:1].upper()
        values = (revision.pk, time, color, _text(revision), label, "white", 14)
        for name, value in zip(_FIELDS, values, strict=True):
            table[name].append(value)
    return table


def _text(revision: Revision) -> str:
    what = "Split" if revision.is_split else revision.get_finding_display().capitalize()
    change = f" Factor {revision.factor:g}." if revision.finding == "ratio" else ""
    bars = "1 bar" if revision.n_bars == 1 else f"{revision.n_bars:,} bars"
    return f"{what}.{change} {bars} up to here; found on {revision.found_at:%Y-%m-%d}; {revision.state}."


def gap_marks(
    held: HeldSeries, timeframe: Timeframe, from_s: int, to_s: int
) -> list[dict[str, Any]]:
    """Return the missing bars of the range as marks of the time scale; errors as for `HeldSeries.read`."""
    opens = bars_for(held, timeframe, from_s, to_s, 0).opens_ms
    calendar = Calendar.of(held.instrument)
    report = find_gaps(opens, calendar, BarLength.parse(timeframe.value))
    missing = [each for each in report.findings if each.kind.value in MISSING][-_MOST_MARKS:]
    starts = np.array([each.start.timestamp() * 1000 for each in missing], np.int64)
    times = times_of(starts, held, timeframe).tolist() if missing else []
    return [_gap_mark(each, time) for each, time in zip(missing, times, strict=True)]


def _gap_mark(gap: Finding, time: int) -> dict[str, Any]:
    start, end = (f"{each.astimezone(UTC):%Y-%m-%d %H:%M}" for each in (gap.start, gap.end))
    bars = "1 bar is" if gap.n_bars == 1 else f"{gap.n_bars:,} bars are"
    return {
        "id": f"{gap.kind.value}-{int(datetime.timestamp(gap.start))}",
        "time": time,
        "color": "red",
        "label": "G",
        "tooltip": [f"{bars} missing", f"{start} to {end} UTC", gap.reason],
    }
