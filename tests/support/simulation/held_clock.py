"""A clock that a test holds: of this process and of the sample feed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta, tzinfo
from unittest import mock

from tests.support.stacks import Feed


class HeldClock:
    """The present instant of a simulation; it moves only by `move_to` and `wait`."""

    def __init__(self, feed: Feed, now: datetime) -> None:
        self._feed = feed
        self.now = now
        self._feed.set_clock(now)

    def move_to(self, instant: datetime) -> None:
        """Set both clocks; an instant in the past changes nothing."""
        if instant > self.now:
            self.now = instant
            self._feed.set_clock(instant)

    def wait(self, duration: timedelta) -> None:
        """Set both clocks ahead."""
        self.move_to(self.now + duration)


@contextmanager
def held_clock(feed: Feed, now: datetime) -> Iterator[HeldClock]:
    """Hold the clocks of this process and of the feed inside the `with` block."""
    clock = HeldClock(feed, now)

    class Datetime(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Datetime:
            return cls.fromtimestamp(clock.now.timestamp(), tz)

    with ExitStack() as stack:
        stack.enter_context(mock.patch("time.time", lambda: clock.now.timestamp()))
        stack.enter_context(mock.patch("django.utils.timezone.now", lambda: clock.now))
        stack.enter_context(mock.patch("datasets.tradingview.conversation.datetime", Datetime))
        try:
            yield clock
        finally:
            feed.set_clock(None)
