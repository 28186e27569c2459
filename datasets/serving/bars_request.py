"""`BarsRequest` and `ContentRequest`: the client's parameters. `Answer`: the dataset chosen for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from datasets.bars import IMPORTED, BarLength, DatasetKey
from datasets.models import Dataset


@dataclass(frozen=True, slots=True)
class MadeBars:
    """Bars of a length that TradingView does not send: the newest `n_bars` whole ones."""

    length: BarLength
    n_bars: int


@dataclass(frozen=True, slots=True)
class BarsRequest:
    """The parameters of one request for bars.

    Parameters
    ----------
    key
        Series and number of bars. A larger dataset of the same series can answer too.
    use_cache
        False: fetch again and replace the dataset.
    max_age_s, max_stale_s
        Seconds. A dataset older than `max_age_s` is stale and is fetched again. The stale
        dataset answers meanwhile if it has been stale for at most `max_stale_s`.
    closed
        Leave out a last bar that is still forming.
    start, end
        Only bars that open at or after `start` and before `end`.
    fields
        Only these columns; empty: all columns.
    format
        A name of `formats.FORMATS`.
    wait_s
        Longest wait for a fetch, in seconds.
    made
        Length and number of the bars to make of the dataset's bars; None: the dataset's own bars.
    as_of
        The bars as they were known at this instant, from the archive.
    has_no_number
        `n_bars` was not given: with `start` or `end` the archive answers at any depth.
    n_archived
        More bars than one fetch gives (`TV_MAX_BARS`): the archive answers, and `key` is the
        largest dataset that can be fetched. None: no more than that.
    redirect
        Answer with the address of the bars by their content, where they have one.
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
    made: MadeBars | None = None
    as_of: datetime | None = None
    has_no_number: bool = False
    n_archived: int | None = None
    redirect: bool = False

    @property
    def reads_range(self) -> bool:
        """Whether the request has a range and no number of bars."""
        has_range = self.start is not None or self.end is not None
        return has_range and self.has_no_number and self.made is None

    @property
    def reads_archive(self) -> bool:
        """Whether the archive can answer where no dataset holds all of the bars."""
        is_deep = self.reads_range or self.n_archived is not None
        return self.as_of is not None or is_deep or self.key.source == IMPORTED


@dataclass(frozen=True, slots=True)
class ContentRequest:
    """The parameters of one request for bars by their content.

    Parameters
    ----------
    content_hash
        SHA-256 over the bars, as `bars.content_hash` gives it.
    start, end
        Only bars that open at or after `start` and before `end`.
    fields
        Only these columns; empty: all columns.
    format
        A name of `formats.FORMATS`.
    """

    content_hash: str
    start: datetime | None = None
    end: datetime | None = None
    fields: tuple[str, ...] = ()
    format: str = "json"


@dataclass(frozen=True, slots=True)
class Answer:
    """The dataset that answers a request, and whether it came from the cache."""

    dataset: Dataset
    is_cached: bool
    # Older than the request allows; a fetch that replaces it has been requested.
    is_stale: bool = False
