"""`manage.py backfill [LIST | EXCHANGE:SYMBOL -t 1h]`: the first windows of the watchlists' series, with progress."""

from __future__ import annotations

import sys
import time
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import QuerySet
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from datasets import watchlists
from datasets.bars import Timeframe, split_symbol
from datasets.errors import DatasetsError
from datasets.fetching import workers
from datasets.fetching.schedule.backfill import open_steps
from datasets.fetching.schedule.schedule_outcomes import settle_ended
from datasets.management.interruption import Interruption
from datasets.models import Schedule, database
from datasets.watchlists.series_plans import own_schedules, update_schedules

_POLL_S = 0.5


class Command(BaseCommand):
    help = (
        "Fetch the whole first window of series that do not have it yet, in quiet time, and show the progress. "
        "The workers do the same by themselves. It can be stopped at any time; the same command continues. "
        "Exit status: 0 done, 1 some failed or are paused, 130 interrupted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "chosen", nargs="?", metavar="LIST", help="a watchlist or a symbol (default: all)"
        )
        parser.add_argument("-t", "--timeframe", metavar="T", help="with a symbol: its timeframe")

    def handle(self, *args: Any, **options: Any) -> None:
        interruption = Interruption()
        try:
            update_schedules()
            schedules = _choose(options["chosen"], options["timeframe"])
            left = self._fill(schedules, interruption)
        except DatasetsError as error:
            raise CommandError(str(error)) from error
        finally:
            interruption.restore()
        if interruption.happened:
            self.stderr.write(f"Interrupted; {left} series are left. The same command continues.")
            sys.exit(130)
        failed = schedules.filter(backfilled_at=None)
        for schedule in failed:
            reason = schedule.pause_reason or schedule.last_error
            self.stderr.write(f"{schedule}: {reason}")
        if failed:
            sys.exit(1)

    def _fill(self, schedules: QuerySet[Schedule], interruption: Interruption) -> int:
        """Open the steps until none is left that can succeed now; return how many series are left."""
        if not workers.alive().exists():
            self.stderr.write(workers.NONE_SEEN)
        total = schedules.count()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, TimeElapsedColumn(), disable=not sys.stdout.isatty()) as progress:
            task = progress.add_task("series", total=total)
            while True:
                now = database.now()
                settle_ended(now)
                left = schedules.filter(backfilled_at=None)
                n_left = left.count()
                progress.update(task, completed=total - n_left)
                # A series that failed is tried again by the workers, after a pause.
                is_open = left.filter(is_paused=False, failures=0).exists()
                if not is_open or interruption.happened:
                    self.stdout.write(
                        f"{total - n_left} of {total} series have their first window."
                    )
                    return n_left
                open_steps(now, schedules)
                time.sleep(_POLL_S)


def _choose(chosen: str | None, timeframe: str | None) -> QuerySet[Schedule]:
    """Return the schedules of a list, of a symbol, or all; raise `CommandError` where there are none."""
    if chosen is None:
        found = own_schedules()
    elif ":" in chosen:
        exchange, symbol = split_symbol(chosen, "")
        found = own_schedules().filter(exchange=exchange, symbol=symbol)
        if timeframe is not None:
            found = found.filter(timeframe=Timeframe.parse(timeframe).value)
    else:
        found = watchlists.schedules_of(watchlists.find_watchlist(chosen))
    if not found.exists():
        raise CommandError(
            "No watchlist has such a series. Add it with `manage.py watch add`, or fetch it once with `manage.py fetch`."
        )
    return found
