"""Progress bars of `manage.py fetch`."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from datasets.management.fetch_jobs import FetchJob
from datasets.management.interruption import Interruption
from datasets.models import Fetch

_POLL_S = 0.1
_NO_WORKER_S = 10.0


class FetchProgress:
    """Polls the rows of the fetches until all have ended, with a progress bar for each running one."""

    def __init__(self, jobs: list[FetchJob], interruption: Interruption, *, quiet: bool) -> None:
        self._jobs = jobs
        self._interruption = interruption
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f} of {task.total:.0f}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            disable=quiet,
        )
        self._tasks: dict[int, TaskID] = {}

    def wait(self) -> None:
        """Return when all jobs are done, or after Ctrl-C; warn once if no worker takes a fetch."""
        started, has_warned = time.monotonic(), False
        with self._progress:
            total = self._progress.add_task("all symbols", total=len(self._jobs))
            while True:
                pending = [job for job in self._jobs if not job.is_done]
                self._progress.update(total, completed=len(self._jobs) - len(pending))
                if not pending or self._interruption.happened:
                    return
                self._poll(pending)
                is_waiting = all(job.fetch and not job.fetch.attempts for job in pending)
                if is_waiting and not has_warned and time.monotonic() - started > _NO_WORKER_S:
                    has_warned = True
                    self._progress.console.print(
                        "No worker has started a fetch yet. Is a worker running? `make run` starts one."
                    )
                time.sleep(_POLL_S)

    def _poll(self, pending: list[FetchJob]) -> None:
        """Load the rows of the pending fetches, and update their progress bars."""
        rows = Fetch.objects.in_bulk([job.fetch.pk for job in pending if job.fetch])
        for job in pending:
            assert job.fetch is not None
            job.fetch = fetch = rows[job.fetch.pk]
            if fetch.state == Fetch.State.QUEUED:
                continue
            if fetch.pk not in self._tasks:
                name = job.key.full_symbol
                self._tasks[fetch.pk] = self._progress.add_task(name, total=job.key.n_bars)
            self._progress.update(
                self._tasks[fetch.pk], completed=fetch.n_rows, visible=not fetch.is_finished
            )
