"""Refreshes of many series through the real path, on a clock that is held, and what each of them left."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from datasets.archive.series_rows import folder_of
from datasets.bars.series_keys import SeriesKey
from datasets.catalog.outputs import get_store
from datasets.fetching import fetch_queue, tasks
from datasets.models import Dataset, Fetch
from datasets.storage.archives.archive_files import times_of, to_ms
from datasets.storage.archives.archive_queries import read_range
from datasets.storage.archives.series_document import Hole, SeriesDocument
from samplefeed.synthetic import CLOSE, TIME
from tests.support.simulation.feed_truth import FeedTruth, at_times
from tests.support.simulation.held_clock import HeldClock
from tests.support.simulation.refresh_plan import RefreshPlan, Watched, instant
from tests.support.simulation.sent_bars import SentBars
from tests.support.stacks import Feed

# Between two fetches of one round.
_PAUSE = timedelta(seconds=5)
_CONFIRMED_AFTER = timedelta(minutes=61)
# Prices of one basis agree within this part; a revision changes a few ticks.
_SAME_BASIS = 0.002


@dataclass
class Refreshed:
    """One series of the simulation, with what was observed about it."""

    watched: Watched
    truth: FeedTruth
    answered: list[datetime] = field(default_factory=list)
    expected_holes: list[Hole] = field(default_factory=list)
    # Expected findings: instant of the fetch, factor and offset.
    expected_steps: list[tuple[datetime, float, float]] = field(default_factory=list)
    n_answers: int = 0
    mixed: list[str] = field(default_factory=list)
    n_failed: int = 0

    @property
    def key(self) -> SeriesKey:
        return SeriesKey.of(self.watched.key)

    @property
    def document(self) -> SeriesDocument:
        document = folder_of(self.key).document()
        assert document is not None
        return document


class Refreshes:
    """Runs a plan day by day; `series` has what was observed."""

    def __init__(self, plan: RefreshPlan, feed: Feed, clock: HeldClock, sent: SentBars) -> None:
        self.plan, self.clock, self.sent = plan, clock, sent
        changes = plan.read_changes()
        for name, args in plan.changes:
            feed.arm(name, **args)
        self.series = [
            Refreshed(each, FeedTruth(SeriesKey.of(each.key), changes, plan.end))
            for each in plan.watched
        ]

    def run(self) -> None:
        """Refresh all series of each day, and an hour later those with something to confirm."""
        found = {each.watched: each for each in self.series}
        for day, watched in self.plan.days():
            self.clock.move_to(instant(day, 21, 45))
            for each in watched:
                self.refresh(found[each])
            waiting = [found[each] for each in watched if _is_waiting(found[each])]
            if waiting:
                self.clock.wait(_CONFIRMED_AFTER)
            for series in waiting:
                self.refresh(series)

    def refresh(self, series: Refreshed) -> None:
        """Fetch the series once by the worker's own code, and look at all answers about it."""
        self.clock.wait(_PAUSE)
        row, _ = fetch_queue.open_fetch(series.watched.key, via="command")
        while Fetch.objects.filter(pk=row.pk, state__in=Fetch.ACTIVE).exists():
            if not tasks.fetch_next():
                self.clock.wait(_PAUSE)
        if Fetch.objects.get(pk=row.pk).state != Fetch.State.SUCCEEDED:
            series.n_failed += 1
            return
        self._expect(series)
        self._look(series)

    def _expect(self, series: Refreshed) -> None:
        """Note which hole and which step the archive has to find after this answer."""
        now, before = self.clock.now, series.answered[-1] if series.answered else None
        series.answered.append(now)
        if before is None:
            return
        step = series.truth.step_between(before, now)
        window = series.truth.rows(now, self.plan.window)
        # The newest bar of the answer before.
        held = series.truth.rows(before, 1)[-1, TIME]
        if window[0, TIME] > held:
            first, last = (
                datetime.fromtimestamp(one, now.tzinfo) for one in (held, window[0, TIME])
            )
            series.expected_holes.append(Hole(first, last))
        elif step is not None:
            series.expected_steps.append((now, *step))

    def _look(self, series: Refreshed) -> None:
        """Require that the archive and each dataset of the series have one basis between two holes."""
        document = series.document
        self._require_one_basis(series, "archive", read_range(folder_of(series.key)).rows)
        for row in Dataset.objects.filter(**series.key.as_dict(), state=Dataset.State.READY):
            table, _ = get_store().read(row.path)
            self._require_one_basis(series, f"dataset of {row.n_bars}", table)
            if table["time"][-1].as_py() != document.last_time:
                series.mixed.append(f"{self.clock.now}: {row.path} is older than the archive")

    def _require_one_basis(self, series: Refreshed, name: str, table: Any) -> None:
        series.n_answers += 1
        times = times_of(table)
        closes = table["close"].to_numpy()
        document = series.document
        bounds = [to_ms(hole.before) for hole in document.holes]
        is_forming = np.isin(times, [to_ms(each) for each in document.forming])
        for part in np.split(np.arange(len(times)), np.searchsorted(times, bounds)):
            part = part[~is_forming[part]]
            if len(part) and not self._has_one_basis(series, times[part] // 1000, closes[part]):
                series.mixed.append(f"{self.clock.now}: {series.key}: {name}")

    def _has_one_basis(self, series: Refreshed, times: Any, closes: Any) -> bool:
        """Return whether the closes are those of one state of the feed, the present one or an earlier one."""
        states: dict[Any, datetime] = {}
        for at in reversed(series.answered):
            states.setdefault(series.truth.state(at), at)
            if len(states) > 3:
                break
        tick = series.truth.instrument.tick
        for at in states.values():
            expected = at_times(series.truth.rows_in_state_of(at), times)[:, CLOSE]
            tolerance = _SAME_BASIS * np.abs(expected) + 5 * tick
            # A bar that the feed no longer has, such as a placeholder, has no basis.
            if np.all((np.abs(closes - expected) <= tolerance) | np.isnan(expected)):
                return True
        return False


def _is_waiting(series: Refreshed) -> bool:
    document = folder_of(series.key).document()
    return document is not None and bool(document.awaiting or document.disputes)
