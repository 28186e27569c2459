"""The schedule at work on a clock that is held: one worker, watchlists, clicks, an outage and refusals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import SimpleNamespace
from unittest import mock

import numpy as np
from django.db.models import Min

from datasets.archive.series_rows import folder_of
from datasets.bars import DatasetKey
from datasets.fetching import feed_clients, fetch_queue, tasks, throttle
from datasets.fetching.schedule import sweep_schedules
from datasets.models import Fetch, Schedule
from datasets.storage.archives.archive_files import times_of
from datasets.storage.archives.archive_queries import read_range
from datasets.watchlists import SymbolEntry, add_symbols, create_watchlist
from samplefeed.synthetic import TIME
from tests.support.simulation.feed_truth import FeedTruth
from tests.support.simulation.held_clock import HeldClock
from tests.support.simulation.month_plan import MonthPlan
from tests.support.simulation.sent_bars import SentBars
from tests.support.stacks import Feed

# A conversation with TradingView takes about so long.
_CALL = timedelta(seconds=0.5)
_SWEEP_EVERY = timedelta(seconds=5)
N_BARS = 300


@dataclass
class Click:
    """A person's request for a series that is not held; the waits are in seconds."""

    key: DatasetKey
    at: datetime
    fetch_id: int
    # TradingView had refused a call, so that nobody could call.
    was_cooling: bool
    called_at: datetime | None = None

    @property
    def wait_s(self) -> float:
        """Seconds from the click to its call."""
        assert self.called_at is not None
        return (self.called_at - self.at).total_seconds()


class ScheduledMonth:
    """Runs a plan: the worker's sweep and its fetches, event by event."""

    def __init__(self, plan: MonthPlan, feed: Feed, clock: HeldClock) -> None:
        self.plan, self.feed, self.clock = plan, feed, clock
        self.clicks: list[Click] = []
        self.n_refused = 0
        self._waiting = list(plan.clicks)
        self._refusals = list(plan.refusals)

    def make_lists(self) -> None:
        """Make the watchlists, as a person would."""
        for each in self.plan.lists:
            made = create_watchlist(
                each.name,
                timeframes=[each.timeframe],
                adjustment=each.adjustment,
                first_bars=N_BARS,
            )
            names = (symbol.partition(":") for symbol in each.symbols)
            add_symbols(made, [SymbolEntry(exchange, symbol) for exchange, _, symbol in names])

    def run(self) -> None:
        """Run until the end of the plan."""
        self.clock.on_move = self._on_move
        outage_from, outage_until = self.plan.outage
        swept = datetime.min.replace(tzinfo=self.clock.now.tzinfo)
        while self.clock.now < self.plan.end:
            if outage_from <= self.clock.now < outage_until:
                self.clock.move_to(outage_until)
            is_idle = not self._fetch_one()
            if is_idle or self.clock.now - swept >= _SWEEP_EVERY:
                swept = self.clock.now
                if not sweep_schedules() and is_idle:
                    self.clock.move_to(self._next_event())
        self.clock.on_move = lambda: None

    def _fetch_one(self) -> bool:
        n_calls = len(self.clock.calls)
        if not tasks.fetch_next():
            return False
        if len(self.clock.calls) > n_calls:
            called_at, key = self.clock.calls[n_calls]
            for click in self.clicks:
                if click.called_at is None and click.key.symbol == key.symbol:
                    click.called_at = called_at
            self.clock.wait(_CALL)
        return True

    def _next_event(self) -> datetime:
        """Return the next instant at which something can begin, at least a second from now."""
        due = Schedule.objects.filter(is_paused=False, fetch=None).aggregate(at=Min("due_at"))["at"]
        queued = Fetch.objects.filter(state=Fetch.State.QUEUED)
        again = queued.aggregate(at=Min("next_attempt_at"))["at"]
        events = [due, again, self.plan.end, *(at for at, _ in self._waiting[:1])]
        soonest: datetime = min(each for each in events if each is not None)
        return max(soonest, self.clock.now + timedelta(seconds=1))

    def _on_move(self) -> None:
        """Let people click whose time has come, also while the worker waits for the throttle."""
        while self._refusals and self._refusals[0] <= self.clock.now:
            del self._refusals[0]
            self.n_refused += 1
            self.feed.arm("upgrade_429", times=1)
            # A refusal comes at the upgrade, so the next call needs a new connection.
            feed_clients.feed_client().close()
        while self._waiting and self._waiting[0][0] <= self.clock.now:
            _, key = self._waiting.pop(0)
            row, _ = fetch_queue.open_fetch(key, via="page", by="a person")
            self.clicks.append(Click(key, self.clock.now, row.pk, throttle.cool_down_left() > 0))


@contextmanager
def held_throttle(clock: HeldClock) -> Iterator[None]:
    """Let the throttle wait on the held clock."""

    def sleep(seconds: float) -> None:
        # Naps of a second instead of a quarter, which changes no wait by more than that.
        clock.wait(timedelta(seconds=seconds if seconds < 0.25 else 1.0))

    held = SimpleNamespace(
        sleep=sleep,
        monotonic=lambda: clock.now.timestamp(),
        monotonic_ns=lambda: int(clock.now.timestamp() * 1000) * 1_000_000,
    )
    with (
        mock.patch("datasets.fetching.throttle.time", held),
        mock.patch("datasets.fetching.call_log.time", held),
    ):
        yield


# --- what came of it ------------------------------------------------------------------


def most_calls_a_minute(calls: Sequence[datetime]) -> int:
    """Return the most calls that began in any 60 seconds."""
    most, first = 0, 0
    for number, at in enumerate(calls):
        while at - calls[first] >= timedelta(minutes=1):
            first += 1
        most = max(most, number - first + 1)
    return most


@dataclass(frozen=True)
class SeriesMonth:
    """One series of the schedule at the end: its calls, and its bars beside the feed's."""

    n_calls: int
    # Calls that brought no bar which had closed since the call before.
    n_needless: int
    missing: int
    # Closed bars of the feed that are newer than the held ones.
    n_behind: int


def month_of(schedule: Schedule, plan: MonthPlan, sent: SentBars, now: datetime) -> SeriesMonth:
    """Return what the schedule did for one series."""
    key = schedule.series_key
    truth = FeedTruth(key, (), plan.end)
    answered = sent.answered[key]
    closed = [closed_through(truth, at) for at in answered]
    needless = [one for one, other in zip(closed, closed[1:], strict=False) if one == other]
    held = times_of(read_range(folder_of(key)).rows) // 1000
    feed = truth.rows(now)[:, TIME]
    expected = feed[(feed >= held[0]) & (feed <= closed_through(truth, now))]
    within = expected[expected <= held[-1]]
    return SeriesMonth(
        n_calls=len(answered),
        n_needless=len(needless),
        missing=int((~np.isin(within, held)).sum()),
        n_behind=len(expected) - len(within),
    )


def closed_through(truth: FeedTruth, now: datetime) -> float:
    """Return the opening of the newest bar that the feed sends as closed at an instant."""
    bars = truth.bars(now, 3)
    last = bars.rows[-1, TIME] if bars.close_at < now.timestamp() else bars.rows[-2, TIME]
    return float(last)
