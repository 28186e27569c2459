"""Coverage: the range of bars that a dataset holds, compared with the requested `start`."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Coverage:
    """The range of the bars that a dataset holds.

    `held_from` and `held_through` are the openings of the oldest and of the newest bar, both
    inclusive, in UTC; None without bars. `covers_start` is False when `start` is earlier than
    `held_from`, so that bars between the two may be missing; None without a `start`.
    """

    covers_start: bool | None
    held_from: datetime | None
    held_through: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by their names in replies."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def coverage_of(times_ms: npt.NDArray[np.int64], start_ms: int | None) -> Coverage:
    """Return the coverage of bars with these openings, oldest first; all in UNIX milliseconds."""
    if not len(times_ms):
        return Coverage(None if start_ms is None else False, None, None)
    first, last = int(times_ms[0]), int(times_ms[-1])
    covers_start = None if start_ms is None else first <= start_ms
    return Coverage(covers_start, _instant(first), _instant(last))


def _instant(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
