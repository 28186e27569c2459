"""`manage.py fetch NASDAQ:AAPL BINANCE:BTCUSDT -t 1h -n 5000`: fetch many symbols."""

from __future__ import annotations

import json
import signal
import sys
import time
from argparse import ArgumentParser
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from datasets.bars import Adjustment, DatasetKey, Session
from datasets.errors import DatasetsError, InvalidRequest
from datasets.fetching import fetch_queue
from datasets.management.console import open_console, whole_number
from datasets.models import Dataset, Fetch
from datasets.serving.fetch_requests import request_fetches

_LOOK_S = 0.1
_NO_WORKER_S = 10.0
# Queued in one transaction, between two looks whether somebody pressed Ctrl-C.
_AT_A_TIME = 200


@dataclass(slots=True)
class Job:
    """One symbol of the command line, and what has come of it."""

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
        if self.refusal:
            return "refused"
        if self.fetch is None:
            return "cached" if self.dataset else "not asked"
        return str(self.fetch.state)

    def as_dict(self) -> dict[str, Any]:
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


class Command(BaseCommand):
    help = (
        "Fetch the newest bars of many symbols and keep them. What is cached already is not fetched again, "
        "so after an interruption the same command goes on where it stopped. "
        "Exit status: 0 all there, 1 some failed, 130 interrupted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("symbols", nargs="*", metavar="EXCHANGE:SYMBOL")
        parser.add_argument(
            "--file", type=Path, help="a text file with one EXCHANGE:SYMBOL a line; # comments"
        )
        parser.add_argument("-t", "--timeframe", default="1h", help="length of a bar (default 1h)")
        parser.add_argument(
            "-n",
            "--n-bars",
            type=whole_number,
            default=5000,
            help="bars back from the newest (default 5000)",
        )
        parser.add_argument(
            "--session", choices=[choice.value for choice in Session], default="regular"
        )
        parser.add_argument(
            "--adjustment", choices=[choice.value for choice in Adjustment], default="splits"
        )
        parser.add_argument(
            "--refresh", action="store_true", help="fetch again also what is cached"
        )
        parser.add_argument(
            "--json", action="store_true", help="print the outcomes as JSON, without progress"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        jobs = [Job(key) for key in self._keys(options)]
        # `manage.py` ends by a traceback on Ctrl-C; ours ends by saying what is done.
        interrupted = _Interruption()
        try:
            _start(jobs, interrupted, refresh=options["refresh"])
            _Watcher(jobs, interrupted, quiet=options["json"]).run()
        except DatasetsError as error:
            raise CommandError(str(error)) from error
        finally:
            interrupted.restore()
        if interrupted.happened:
            _cancel_queued(jobs)
        self._report(jobs, as_json=options["json"])
        if interrupted.happened:
            self.stderr.write("Interrupted. Run the same command again to go on.")
            sys.exit(130)
        if any(job.outcome not in ("cached", "succeeded") for job in jobs):
            sys.exit(1)

    def _keys(self, options: dict[str, Any]) -> list[DatasetKey]:
        symbols = [*options["symbols"], *_read_symbols(options["file"])]
        if not symbols:
            raise CommandError("Name at least one EXCHANGE:SYMBOL, or a file of them with --file.")
        if options["n_bars"] > settings.TV_MAX_BARS:
            raise CommandError(f"--n-bars is above TV_MAX_BARS, {settings.TV_MAX_BARS}.")
        wrong, keys = [], []
        for symbol in symbols:
            try:
                keys.append(_key(symbol, options))
            except InvalidRequest as error:
                wrong.append(f"{symbol}: {error}")
        if wrong:
            raise CommandError("Nothing was fetched.\n" + "\n".join(wrong))
        return list(dict.fromkeys(keys))

    def _report(self, jobs: list[Job], *, as_json: bool) -> None:
        if as_json:
            self.stdout.write(json.dumps([job.as_dict() for job in jobs], indent=1))
            return
        detail = Column("detail", overflow="fold")
        table = Table("symbol", "timeframe", "outcome", "bars", detail)
        for job in jobs:
            row = job.as_dict()
            table.add_row(
                job.key.full_symbol,
                job.key.timeframe.label,
                row["code"] or job.outcome,
                str(row["count"]),
                row["detail"] or row["path"] or "",
            )
        open_console().print(table)


def _key(symbol: str, options: dict[str, Any]) -> DatasetKey:
    names = ("timeframe", "n_bars", "session", "adjustment")
    return DatasetKey.parse(
        source=settings.TV_SOURCE, symbol=symbol, **{name: options[name] for name in names}
    )


def _read_symbols(path: Path | None) -> list[str]:
    if path is None:
        return []
    try:
        # Some editors begin a file with a mark of its encoding.
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is no text in UTF-8.") from error
    return [text for line in lines if (text := line.split("#")[0].strip())]


def _start(jobs: list[Job], interrupted: _Interruption, *, refresh: bool) -> None:
    for first in range(0, len(jobs), _AT_A_TIME):
        if interrupted.happened:
            return
        some = jobs[first : first + _AT_A_TIME]
        keys = [job.key for job in some]
        outcomes = request_fetches(keys, via="command", use_cache=not refresh)
        for job, outcome in zip(some, outcomes, strict=True):
            job.fetch, job.dataset = outcome.fetch, outcome.dataset
            job.refusal = str(outcome.refusal or "")


def _cancel_queued(jobs: list[Job]) -> None:
    for job in jobs:
        if job.fetch is not None:
            fetch_queue.cancel(job.fetch)
            # A worker may have begun it, or ended it, since it was looked at.
            job.fetch.refresh_from_db()


class _Interruption:
    """Notes a Ctrl-C instead of letting it fall into the middle of something."""

    def __init__(self) -> None:
        self.happened = False
        self._before = signal.signal(signal.SIGINT, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.happened = True

    def restore(self) -> None:
        signal.signal(signal.SIGINT, self._before)


class _Watcher:
    """Follows the fetches' rows until all have ended, with a bar for each that runs."""

    def __init__(self, jobs: list[Job], interrupted: _Interruption, *, quiet: bool) -> None:
        self._jobs = jobs
        self._interrupted = interrupted
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed:.0f} of {task.total:.0f}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            disable=quiet,
        )
        self._tasks: dict[int, TaskID] = {}
        self._started = time.monotonic()
        self._warned = False

    def run(self) -> None:
        with self._progress:
            total = self._progress.add_task("all symbols", total=len(self._jobs))
            while True:
                pending = [job for job in self._jobs if not job.is_done]
                self._progress.update(total, completed=len(self._jobs) - len(pending))
                if not pending or self._interrupted.happened:
                    return
                self._look(pending)
                self._warn_without_worker(pending)
                time.sleep(_LOOK_S)

    def _look(self, pending: list[Job]) -> None:
        rows = Fetch.objects.in_bulk([job.fetch.pk for job in pending if job.fetch])
        for job in pending:
            assert job.fetch is not None
            job.fetch = rows[job.fetch.pk]
            if job.fetch.state != Fetch.State.QUEUED:
                self._show(job.key, job.fetch)

    def _show(self, key: DatasetKey, fetch: Fetch) -> None:
        if fetch.pk not in self._tasks:
            self._tasks[fetch.pk] = self._progress.add_task(key.full_symbol, total=key.n_bars)
        self._progress.update(
            self._tasks[fetch.pk], completed=fetch.n_rows, visible=not fetch.is_finished
        )

    def _warn_without_worker(self, pending: list[Job]) -> None:
        is_waiting = all(job.fetch and not job.fetch.attempts for job in pending)
        if is_waiting and not self._warned and time.monotonic() - self._started > _NO_WORKER_S:
            self._warned = True
            self._progress.console.print(
                "No worker has begun yet. Is one running? `make run` starts one."
            )
