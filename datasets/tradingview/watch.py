"""The time limits of one fetch."""

from __future__ import annotations

import time
from collections.abc import Callable

from datasets.errors import FeedTimeout


class Watch:
    """Time limits of one fetch: the longest silence and the deadline.

    Parameters
    ----------
    silence_s
        Longest time in seconds without bars or news of them. Heartbeats are not news.
    deadline_s
        Longest time in seconds for the whole fetch.
    on_wait
        Called about once a second while the fetch waits. It may raise to end the fetch.
    """

    def __init__(
        self, *, silence_s: float, deadline_s: float, on_wait: Callable[[], None] = lambda: None
    ) -> None:
        self.silence_s = silence_s
        self.deadline_s = deadline_s
        self.on_wait = on_wait
        self.started = self.last_news = time.monotonic()

    def news(self) -> None:
        """Start the measure of silence again: a part of the fetch has arrived."""
        self.last_news = time.monotonic()

    def left(self) -> float:
        """Return the seconds left; raise `FeedTimeout` when there are none."""
        now = time.monotonic()
        until_deadline = self.started + self.deadline_s - now
        until_silent = self.last_news + self.silence_s - now
        if until_deadline <= 0:
            raise FeedTimeout(
                f"The fetch took longer than {self.deadline_s:g} s (TV_DEADLINE_S). "
                "Nothing was stored; the fetch can be tried again."
            )
        if until_silent <= 0:
            raise FeedTimeout(
                f"TradingView sent nothing about this fetch for {self.silence_s:g} s (TV_TIMEOUT_S). "
                "Nothing was stored; the fetch can be tried again."
            )
        return min(until_deadline, until_silent)
