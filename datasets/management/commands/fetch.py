"""`manage.py fetch NASDAQ:AAPL BINANCE:BTCUSDT -t 1h -n 5000`: fetch many symbols, or a range with `--from`."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from rich.table import Column, Table

from datasets.bars import Adjustment, DatasetKey, Session
from datasets.errors import DatasetsError, InvalidRequest
from datasets.management.bar_ranges import BarRange, read_instant
from datasets.management.console import open_console, whole_number
from datasets.management.fetch_jobs import FetchJob, cancel_jobs, job_for_range, queue_jobs
from datasets.management.fetch_progress import FetchProgress
from datasets.management.interruption import Interruption
from datasets.models import database


class Command(BaseCommand):
    help = (
        "Fetch the newest bars of many symbols and store them. Cached datasets are not fetched again, "
        "so the same command continues after an interruption. "
        "With --from, fetch what TradingView still gives of a range, and say what the archive holds of it. "
        "Exit status: 0 all fetched or cached, 1 some failed, 130 interrupted."
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
            help="bars back from the newest (default 5000)",
        )
        instant = "such as 2024-01-01 or 2024-01-01T14:30; UTC without an offset"
        parser.add_argument(
            "--from",
            dest="start",
            type=read_instant,
            metavar="TIME",
            help=f"instead of -n: bars that open at this instant or later, {instant}",
        )
        parser.add_argument(
            "--to",
            dest="end",
            type=read_instant,
            metavar="TIME",
            help="with --from: only bars that open before this instant (default: up to the newest bar)",
        )
        parser.add_argument(
            "--session", choices=[choice.value for choice in Session], default="regular"
        )
        parser.add_argument(
            "--adjustment", choices=[choice.value for choice in Adjustment], default="splits"
        )
        parser.add_argument(
            "--refresh", action="store_true", help="fetch cached datasets again too"
        )
        parser.add_argument(
            "--json", action="store_true", help="print the outcomes as JSON, without progress"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        wanted, keys = read_range_of(options), self._keys(options)
        if wanted is None:
            jobs = [FetchJob(key) for key in keys]
        else:
            jobs = [job_for_range(key, wanted, refresh=options["refresh"]) for key in keys]
        # Without this, Ctrl-C would end in a traceback instead of the report.
        interruption = Interruption()
        try:
            queue_jobs(jobs, interruption, refresh=options["refresh"])
            FetchProgress(jobs, interruption, quiet=options["json"]).wait()
        except DatasetsError as error:
            raise CommandError(str(error)) from error
        finally:
            interruption.restore()
        if interruption.happened:
            cancel_jobs(jobs)
        self._report(jobs, as_json=options["json"])
        if interruption.happened:
            self.stderr.write("Interrupted. Run the same command again to continue.")
            sys.exit(130)
        if not all(job.is_good for job in jobs):
            sys.exit(1)

    def _keys(self, options: dict[str, Any]) -> list[DatasetKey]:
        """Return the keys of the command line, without duplicates; raise `CommandError` for a wrong one."""
        symbols = [*options["symbols"], *read_symbols(options["file"])]
        if not symbols:
            raise CommandError("Name at least one EXCHANGE:SYMBOL, or a file of them with --file.")
        n_bars = 5000 if options["n_bars"] is None else options["n_bars"]
        if options["start"] is not None:
            # Only the series matters; the range decides the number of bars.
            n_bars = settings.TV_MAX_BARS
        if n_bars > settings.TV_MAX_BARS:
            raise CommandError(f"--n-bars is above TV_MAX_BARS, {settings.TV_MAX_BARS}.")
        wrong, keys = [], []
        parameters = {name: options[name] for name in ("timeframe", "session", "adjustment")}
        for symbol in symbols:
            try:
                keys.append(
                    DatasetKey.parse(
                        source=settings.TV_SOURCE, symbol=symbol, n_bars=n_bars, **parameters
                    )
                )
            except InvalidRequest as error:
                wrong.append(f"{symbol}: {error}")
        if wrong:
            raise CommandError("Nothing was fetched.\n" + "\n".join(wrong))
        return list(dict.fromkeys(keys))

    def _report(self, jobs: list[FetchJob], *, as_json: bool) -> None:
        for job in jobs:
            job.read_range()
        if as_json:
            self.stdout.write(json.dumps([job.as_dict() for job in jobs], indent=1))
            return
        detail = Column("detail", overflow="fold")
        table = Table("symbol", "timeframe", "outcome", "bars", detail)
        for job in jobs:
            row, report = job.as_dict(), job.report
            held = "" if report is None else " ".join(report.sentences(is_all=job.is_good))
            table.add_row(
                job.key.full_symbol,
                job.key.timeframe.label,
                row["code"] or job.outcome,
                str(row["count"] if report is None else report.n_bars),
                " ".join(filter(None, [row["detail"], held])) or row["path"] or "",
            )
        open_console().print(table)


def read_range_of(options: dict[str, Any]) -> BarRange | None:
    """Return the range of the command line, or None; raise `CommandError` for a wrong one."""
    start, end = options["start"], options["end"]
    if start is None and end is None:
        return None
    if start is None:
        raise CommandError("--to needs --from: say where the range begins.")
    if options["n_bars"] is not None:
        raise CommandError("--n-bars and --from exclude each other: a range has its own bars.")
    if end is not None and end <= start:
        raise CommandError("--to is not after --from, so that the range has no bars.")
    if start > database.shared_now():
        raise CommandError("--from lies in the future, where no bar has opened yet.")
    return BarRange(start, end)


def read_symbols(path: Path | None) -> list[str]:
    """Return the symbols in a text file, one a line, without comments; an empty list for None."""
    if path is None:
        return []
    try:
        # Some editors begin a file with a byte order mark.
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is not a text file in UTF-8.") from error
    return [text for line in lines if (text := line.split("#")[0].strip())]
