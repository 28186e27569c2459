"""The feed's truth: the bars that the sample feed gives for a series at an instant, computed in this process."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

import numpy as np

from datasets.bars.series_keys import SeriesKey
from samplefeed.bars import Bars, Request
from samplefeed.changes import Change, changed_rows
from samplefeed.instruments import Instrument, find_instrument
from samplefeed.listings import ChangedListing, SyntheticListing
from samplefeed.noise import Floats
from samplefeed.synthetic import TIME
from samplefeed.timeframes import Timeframe, parse_timeframe

# More bars than any simulation sends of one series.
_ALL = 60_000


class FeedTruth:
    """The bars of one series as the feed gives them at any instant, back to long before the simulation."""

    def __init__(self, key: SeriesKey, changes: Sequence[Change], end: datetime) -> None:
        self.key, self._end = key, end
        self._states: dict[tuple[Any, ...], Floats] = {}
        self.changes = tuple(each for each in changes if each.symbol == key.full_symbol)

    @cached_property
    def instrument(self) -> Instrument:
        found = find_instrument(self.key.full_symbol)
        assert found is not None
        return found

    @property
    def steps(self) -> list[Change]:
        """The changes of the prices' basis, in order of time."""
        adjustment = self.key.adjustment.value
        steps = [each for each in self.changes if each.is_step_of(adjustment)]
        return sorted(steps, key=lambda one: one.at)

    def rows(self, now: datetime, n_bars: int = _ALL) -> Floats:
        """Return the newest bars at an instant: time (UNIX seconds), prices, and volume if there is one."""
        return self.bars(now, n_bars).rows

    def bars(self, now: datetime, n_bars: int) -> Bars:
        """Return the reply with the newest bars at an instant."""
        listing = ChangedListing(SyntheticListing(self.instrument), self.changes, now.timestamp())
        return listing.bars(self._request(now, n_bars))

    def rows_in_state_of(self, at: datetime) -> Floats:
        """Return all bars up to the end of the simulation, in the basis that the feed shows at `at`."""
        state = self.state(at)
        if state not in self._states:
            bars = SyntheticListing(self.instrument).bars(self._request(self._end, _ALL))
            self._states[state] = changed_rows(
                bars.rows, self.steps, self.instrument, at.timestamp(), self.key.adjustment.value
            )
        return self._states[state]

    def _request(self, now: datetime, n_bars: int) -> Request:
        timeframe = parse_timeframe(self.key.timeframe.value.upper())
        assert isinstance(timeframe, Timeframe)
        return Request(
            timeframe,
            n_bars,
            now.timestamp(),
            None,
            self.key.session.value,
            self.key.adjustment.value,
        )

    def state(self, now: datetime) -> tuple[Any, ...]:
        """Return which changes of the basis the feed shows at an instant; equal states mean one basis."""
        instant = now.timestamp()
        return tuple((instant >= one.at, one.at <= instant < one.half_until) for one in self.steps)

    def step_between(self, before: datetime, after: datetime) -> tuple[float, float] | None:
        """Return factor and offset between the bases of two instants; None without a step between them."""
        found = None
        for step in self.steps:
            if before.timestamp() < step.at <= after.timestamp():
                factor, offset = found or (1.0, 0.0)
                found = factor * step.step[0], offset * step.step[0] + step.step[1]
        return found


def at_times(rows: Floats, times: Any) -> Floats:
    """Return the rows that open at these UNIX seconds; NaN for times without a bar."""
    places = np.minimum(np.searchsorted(rows[:, TIME], times), len(rows) - 1)
    found: Floats = rows[places].copy()
    found[rows[places, TIME] != times] = np.nan
    return found
