"""A clock that a test holds: of this process and of the sample feed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, tzinfo
from typing import Any
from unittest import mock

from datasets.bars import DatasetKey, FetchedBars
from datasets.tradingview.client import FeedClient
from tests.support.stacks import Feed


class HeldClock:
    """The present instant of a simulation; it moves only by `move_to` and `wait`.

    `on_move` is called after each move of this process's clock. The feed's clock follows at the
    next call to the feed, or at once by `tell_feed`. `calls` are the instants of all calls.
    """

    def __init__(self, feed: Feed, now: datetime) -> None:
        self._feed = feed
        self.now = now
        self.on_move: Callable[[], None] = lambda: None
        self.calls: list[tuple[datetime, DatasetKey]] = []
        self._told: datetime | None = None

    def move_to(self, instant: datetime) -> None:
        """Set the clock; an instant in the past changes nothing."""
        if instant > self.now:
            self.now = instant
            self.on_move()

    def tell_feed(self) -> None:
        """Set the feed's clock to this one's time."""
        if self._told != self.now:
            self._feed.set_clock(self.now)
            self._told = self.now

    def wait(self, duration: timedelta) -> None:
        """Set the clock ahead."""
        self.move_to(self.now + duration)


@contextmanager
def held_clock(feed: Feed, now: datetime) -> Iterator[HeldClock]:
    """Hold the clocks of this process and of the feed inside the `with` block."""
    clock, fetch = HeldClock(feed, now), FeedClient.fetch_bars

    def fetch_then(client: FeedClient, key: DatasetKey, **options: Any) -> FetchedBars:
        clock.tell_feed()
        clock.calls.append((clock.now, key))
        return fetch(client, key, **options)

    class Datetime(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Datetime:
            return cls.fromtimestamp(clock.now.timestamp(), tz)

    with ExitStack() as stack:
        stack.enter_context(mock.patch("time.time", lambda: clock.now.timestamp()))
        stack.enter_context(mock.patch.object(FeedClient, "fetch_bars", fetch_then))
        stack.enter_context(mock.patch("django.utils.timezone.now", lambda: clock.now))
        stack.enter_context(mock.patch("datasets.tradingview.conversation.datetime", Datetime))
        try:
            yield clock
        finally:
            feed.set_clock(None)
