"""The feed's clock: the wall clock, or one instant for ever so that replies never change."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Clock:
    """Tells the time in UNIX seconds; `frozen_at` stops it."""

    frozen_at: float | None = None

    def now(self) -> float:
        """Return the present as the bars see it."""
        return time.time() if self.frozen_at is None else self.frozen_at

    def stamps(self) -> dict[str, int]:
        """Return the top-level `t` and `t_ms` that chart frames carry."""
        milliseconds = int(self.now() * 1000)
        return {"t": milliseconds // 1000, "t_ms": milliseconds}


def parse_instant(text: str) -> float:
    """Return an ISO 8601 instant as UNIX seconds; without an offset it is UTC."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        instant = instant.replace(tzinfo=UTC)
    return instant.timestamp()
