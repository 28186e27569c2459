"""`manage.py fetch NASDAQ:AAPL BINANCE:BTCUSDT -t 1h -n 5000`: fetch many symbols."""

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
from datasets.management.console import open_console, whole_number
from datasets.management.fetch_jobs import FetchJob, cancel_jobs, queue_jobs
from datasets.management.fetch_progress import FetchProgress
from datasets.management.interruption import Interruption


class Command(BaseCommand):
    help = (
        "Fetch the newest bars of many symbols and store them. Cached datasets are not fetched again, "
        "so the same command continues after an interruption. "
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
            "--refresh", action="store_true", help="fetch cached datasets again too"
        )
        parser.add_argument(
            "--json", action="store_true", help="print the outcomes as JSON, without progress"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        jobs = [FetchJob(key) for key in self._keys(options)]
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
        if any(job.outcome not in ("cached", "succeeded") for job in jobs):
            sys.exit(1)

    def _keys(self, options: dict[str, Any]) -> list[DatasetKey]:
        """Return the keys of the command line, without duplicates; raise `CommandError` for a wrong one."""
        symbols = [*options["symbols"], *read_symbols(options["file"])]
        if not symbols:
            raise CommandError("Name at least one EXCHANGE:SYMBOL, or a file of them with --file.")
        if options["n_bars"] > settings.TV_MAX_BARS:
            raise CommandError(f"--n-bars is above TV_MAX_BARS, {settings.TV_MAX_BARS}.")
        wrong, keys = [], []
        names = ("timeframe", "n_bars", "session", "adjustment")
        parameters = {name: options[name] for name in names}
        for symbol in symbols:
            try:
                keys.append(
                    DatasetKey.parse(source=settings.TV_SOURCE, symbol=symbol, **parameters)
                )
            except InvalidRequest as error:
                wrong.append(f"{symbol}: {error}")
        if wrong:
            raise CommandError("Nothing was fetched.\n" + "\n".join(wrong))
        return list(dict.fromkeys(keys))

    def _report(self, jobs: list[FetchJob], *, as_json: bool) -> None:
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
