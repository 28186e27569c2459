"""The symbols of `manage.py fetch` and the state of their fetches."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from datasets.bars import DatasetKey
from datasets.fetching import fetch_queue
from datasets.management.interruption import Interruption
from datasets.models import Dataset, Fetch
from datasets.serving.fetch_requests import request_fetches

# Queued in one transaction; Ctrl-C is noticed between two transactions.
_AT_A_TIME = 200


@dataclass(slots=True)
class FetchJob:
    """One symbol of the command line, with its fetch, its cached dataset or the refusal."""

    key: DatasetKey
    fetch: Fetch | None = None
    dataset: Dataset | None = None
    refusal: str = ""

    @property
    def is_done(self) -> bool:
        if self.fetch is None:
            return self.dataset is not None or bool(self.refusal)
        return self.fetch.is_finished

    @property
    def outcome(self) -> str:
        """`refused`, `cached`, `not asked` (interrupted before), or the state of the fetch."""
        if self.refusal:
            return "refused"
        if self.fetch is None:
            return "cached" if self.dataset else "not asked"
        return str(self.fetch.state)

    def as_dict(self) -> dict[str, Any]:
        """Return the key and the outcome as plain values, for `--json`."""
        row = self.dataset or (self.fetch.dataset if self.fetch else None)
        return self.key.as_dict() | {
            "outcome": self.outcome,
            "code": self.fetch.error_code if self.fetch else "",
            "detail": self.fetch.error_message if self.fetch else self.refusal,
            "retryable": self.fetch.retryable if self.fetch else False,
            "fetch": self.fetch.pk if self.fetch else None,
            "dataset": row.pk if row else None,
            "count": row.n_rows if row else 0,
            "path": row.path if row else None,
        }


def queue_jobs(jobs: list[FetchJob], interruption: Interruption, *, refresh: bool) -> None:
    """Request the fetch of every job; with `refresh` also of cached datasets.

    Stops early after Ctrl-C: the other jobs then stay without a fetch.
    """
    for first in range(0, len(jobs), _AT_A_TIME):
        if interruption.happened:
            return
        some = jobs[first : first + _AT_A_TIME]
        keys = [job.key for job in some]
        outcomes = request_fetches(keys, via="command", use_cache=not refresh)
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
