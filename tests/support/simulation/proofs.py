"""Proofs at the end of a simulation: what the archives hold, beside what the feed sent and now gives."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from datasets.archive.series_rows import folder_of
from datasets.storage.archives.archive_files import times_of, to_ms
from datasets.storage.archives.archive_queries import read_range
from datasets.storage.archives.revision_records import RevisionRecord, RevisionState, read_records
from samplefeed.synthetic import CLOSE, OPEN, TIME, VOLUME
from tests.support.archives import kept_rows
from tests.support.simulation.feed_truth import at_times
from tests.support.simulation.refreshes import Refreshed
from tests.support.simulation.sent_bars import SentBars

# The factor of a step is the median of many rounded prices.
_FACTOR = 2e-4
STEPS = ("ratio", "offset")


@dataclass(frozen=True)
class HeldBars:
    """The bars of an archive beside those that the feed gives at the last answer.

    `missing` are bars of the feed within the archive's spans; `strange` are times that the feed
    has no bar of; `wrong` are bars with other values. `largest_error` of the rescaled bars is a
    part of the price.
    """

    n_held: int
    n_rescaled: int
    n_older: int
    missing: int
    strange: int
    wrong: int
    largest_error: float


def lost_bars(series: Refreshed, sent: SentBars) -> int:
    """Return how many final bars the feed has sent that are neither in the archive nor in what left it."""
    return len(sent.final[series.key] - kept_rows(folder_of(series.key)))


def wrong_steps(series: Refreshed) -> list[str]:
    """Return the changes of the basis that the archive has not found, or found with another step."""
    found = [each for each in read_records(folder_of(series.key)) if each.finding in STEPS]
    expected = series.expected_steps
    wrong = [
        f"{series.key}: expected x{factor:g} {offset:+g} at {at:%F %H:%M}"
        for at, factor, offset in expected
        if not any(_is_step(record, at, factor, offset) for record in found)
    ]
    if len(found) != len(expected):
        wrong.append(f"{series.key}: {len(found)} steps found, {len(expected)} expected")
    waiting = [each for each in found if each.state is RevisionState.OPEN]
    return wrong + [f"{series.key}: revision {each.number} still waits" for each in waiting]


def _is_step(record: RevisionRecord, at: Any, factor: float, offset: float) -> bool:
    is_near = abs(record.factor / factor - 1) < _FACTOR and abs(record.offset - offset) < 0.01
    return is_near and abs((record.found_at - at).total_seconds()) < 3600


def wrong_holes(series: Refreshed) -> list[str]:
    """Return the differences between the holes of the archive and those that the outages left."""
    held, expected = set(series.document.holes), set(series.expected_holes)
    wrong = [f"{series.key}: no hole {hole}" for hole in expected - held]
    return wrong + [f"{series.key}: a hole {hole}" for hole in held - expected]


def held_bars(series: Refreshed) -> HeldBars:
    """Return the bars of the archive beside the feed's truth at the last answer."""
    found = read_range(folder_of(series.key))
    document, rows = found.document, found.rows
    times = times_of(rows) // 1000
    feed = series.truth.rows(series.answered[-1])
    beside = at_times(feed, times)
    names = ["open", "high", "low", "close", *(["volume"] if feed.shape[1] > VOLUME else [])]
    values = np.column_stack([rows[name].to_numpy() for name in names])
    joins = [to_ms(piece.before) for piece in document.rescaled]
    is_rescaled = times * 1000 < (joins[-1] if joins else 0)
    errors = np.abs(values - beside[:, OPEN:]) / np.maximum(np.abs(beside[:, OPEN:]), 1e-9)
    is_strange = np.isnan(beside[:, CLOSE])
    worst = errors[:, :4].max(axis=1)
    is_wrong = np.where(is_rescaled, worst > _FACTOR, errors.max(axis=1) > 1e-9) & ~is_strange
    # A bar before a hole was forming when the feed sent it for the last time, and says so.
    is_wrong &= ~np.isin(times, [int(each.timestamp()) for each in document.forming])
    within = (feed[:, TIME] >= times[0]) & (feed[:, TIME] <= times[-1])
    for hole in document.holes:
        within &= (feed[:, TIME] <= hole.after.timestamp()) | (
            feed[:, TIME] >= hole.before.timestamp()
        )
    return HeldBars(
        n_held=len(times),
        n_rescaled=int(is_rescaled.sum()),
        n_older=int((times < feed[-500:][0, TIME]).sum()),
        missing=int((~np.isin(feed[within, TIME], times)).sum()),
        strange=int(is_strange.sum()),
        wrong=int(is_wrong.sum()),
        largest_error=float(np.max(worst[is_rescaled & ~is_strange], initial=0.0)),
    )


def findings(all_series: list[Refreshed]) -> Counter[str]:
    """Return the number of revisions by class."""
    return Counter(
        record.finding for series in all_series for record in read_records(folder_of(series.key))
    )
