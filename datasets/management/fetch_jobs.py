"""The symbols of `manage.py fetch` and the state of their fetches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings

from datasets.archive.fetch_windows import dataset_for_range
from datasets.bars import DatasetKey
from datasets.bars.series_keys import SeriesKey
from datasets.errors import StoreError, StoreFailed
from datasets.fetching import fetch_queue
from datasets.management.bar_ranges import BarRange, RangeReport
from datasets.management.interruption import Interruption
from datasets.models import Dataset, Fetch, database
from datasets.serving.fetch_requests import request_fetches

# Queued in one transaction; Ctrl-C is noticed between two transactions.
_AT_A_TIME = 200


@dataclass(slots=True)
class FetchJob:
    """One symbol of the command line, with its fetch, its cached dataset or the refusal.

    `wanted` is the range of the command line, and `is_held` says that no fetch can add bars to it.
    `report` says how much of the range is held in the end.
    """

    key: DatasetKey
    wanted: BarRange | None = None
    is_held: bool = False
    report: RangeReport | None = None
    fetch: Fetch | None = None
    dataset: Dataset | None = None
    refusal: str = ""

    @property
    def is_done(self) -> bool:
        if self.fetch is None:
            return self.is_held or self.dataset is not None or bool(self.refusal)
        return self.fetch.is_finished

    @property
    def is_good(self) -> bool:
        """Whether the archive has now all that TradingView gives."""
        return self.outcome in ("cached", "held", "succeeded")

    @property
    def outcome(self) -> str:
        """`refused`, `cached`, `held`, `not asked` (interrupted before), or the state of the fetch."""
        if self.refusal:
            return "refused"
        if self.is_held:
            return "held"
        if self.fetch is None:
            return "cached" if self.dataset else "not asked"
        return str(self.fetch.state)

    def as_dict(self) -> dict[str, Any]:
        """Return the key and the outcome as plain values, for `--json`."""
        row = self.dataset or (self.fetch.dataset if self.fetch else None)
        of_range = {} if self.report is None else {"range": self.report.as_dict()}
        return (
            of_range
            | self.key.as_dict()
            | {
                "outcome": self.outcome,
                "code": self.fetch.error_code if self.fetch else "",
                "detail": self.fetch.error_message if self.fetch else self.refusal,
                "retryable": self.fetch.retryable if self.fetch else False,
                "fetch": self.fetch.pk if self.fetch else None,
                "dataset": row.pk if row else None,
                "count": row.n_rows if row else 0,
                "path": row.path if row else None,
            }
        )

    def read_range(self) -> None:
        """Fill `report`; a job that seems good and has no archive to read is refused with the reason."""
        if self.wanted is None:
            return
        try:
            self.report = RangeReport.of(SeriesKey.of(self.key), self.wanted)
        except (StoreError, StoreFailed) as error:
            if self.is_good:
                self.refusal = str(error)


def job_for_range(key: DatasetKey, wanted: BarRange, *, refresh: bool) -> FetchJob:
    """Return the job of one symbol and a range; `refresh` also fetches a range that the archive holds."""
    series = SeriesKey.of(key)
    found = dataset_for_range(
        series, wanted.start, wanted.end, now=database.shared_now(), max_bars=settings.TV_MAX_BARS
    )
    if found is None and refresh:
        found = key
    return FetchJob(found or key, wanted, is_held=found is None)


def queue_jobs(jobs: list[FetchJob], interruption: Interruption, *, refresh: bool) -> None:
    """Request the fetch of every job; with `refresh` also of cached datasets.

    A job with a range that is held needs no fetch, and any other range is fetched although a
    dataset is cached. Stops early after Ctrl-C: the other jobs then stay without a fetch.
    """
    asked = [job for job in jobs if not job.is_held]
    for first in range(0, len(asked), _AT_A_TIME):
        if interruption.happened:
            return
        some = asked[first : first + _AT_A_TIME]
        keys = [job.key for job in some]
        use_cache = not refresh and all(job.wanted is None for job in some)
        outcomes = request_fetches(keys, via="command", use_cache=use_cache)
        for job, outcome in zip(some, outcomes, strict=True):
            job.fetch, job.dataset = outcome.fetch, outcome.dataset
            job.refusal = str(outcome.refusal or "")


def cancel_jobs(jobs: Iterable[FetchJob]) -> None:
    """Cancel the fetches that are still queued, and load the state of all."""
    for job in jobs:
        if job.fetch is not None:
            fetch_queue.cancel(job.fetch)
            # A worker may have started or ended the fetch meanwhile.
            job.fetch.refresh_from_db()
