"""What a reader of bars wants, and what answers it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from datasets.bars import DatasetKey
from datasets.models import Dataset


@dataclass(frozen=True, slots=True)
class BarsRequest:
    """What a reader wants.

    Parameters
    ----------
    key
        Which bars; a larger dataset of the same series may answer it too.
    use_cache
        False fetches again and replaces the dataset.
    max_age_s, max_stale_s
        A dataset older than `max_age_s` is stale. A stale one is fetched again, and is
        served meanwhile if it has been stale for at most `max_stale_s`.
    closed
        Leave out a last bar that is still forming.
    start, end
        Only bars that open at or after `start` and before `end`.
    fields
        Only these columns; all when empty.
    format
        A name of `formats.FORMATS`.
    wait_s
        How long to wait for a fetch.
    """

    key: DatasetKey
    use_cache: bool = True
    max_age_s: int | None = None
    max_stale_s: int = 0
    closed: bool = False
    start: datetime | None = None
    end: datetime | None = None
    fields: tuple[str, ...] = ()
    format: str = "json"
    wait_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The dataset that answers a request, and how it came to that."""

    dataset: Dataset
    is_cached: bool
    # Older than asked for; a fetch of a fresh one has been asked for.
    is_stale: bool = False
