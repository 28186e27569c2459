"""Ctrl-C, recorded instead of raised."""

from __future__ import annotations

import signal
from types import FrameType


class Interruption:
    """Records Ctrl-C until `restore`, instead of raising `KeyboardInterrupt` amid a transaction."""

    def __init__(self) -> None:
        self.happened = False
        self._before = signal.signal(signal.SIGINT, self._record)

    def _record(self, number: int, frame: FrameType | None) -> None:
        self.happened = True

    def restore(self) -> None:
        """Give the signal back to its former handler."""
        signal.signal(signal.SIGINT, self._before)
