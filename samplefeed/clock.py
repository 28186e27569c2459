"""The feed's clock: the wall clock, or a fixed instant for replies that never change."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass
class Clock:
    """A clock in UNIX seconds; `frozen_at` is its fixed time, if it has one."""

    frozen_at: float | None = None
    started_at: float | None = field(init=False)

    def __post_init__(self) -> None:
        self.started_at = self.frozen_at

    def now(self) -> float:
        """Return the current time."""
        return time.time() if self.frozen_at is None else self.frozen_at

    def reset(self) -> None:
        """Bring back the clock's state at the start."""
        self.frozen_at = self.started_at

    def stamps(self) -> dict[str, int]:
        """Return the top-level `t` and `t_ms` of chart messages."""
        milliseconds = int(self.now() * 1000)
        return {"t": milliseconds // 1000, "t_ms": milliseconds}


def parse_instant(text: str) -> float:
    """Return an ISO 8601 instant as UNIX seconds; without an offset it counts as UTC."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return instant.timestamp()
