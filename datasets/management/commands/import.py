"""`manage.py import FILE --symbol NASDAQ:AAPL --timeframe 1h`: import bars from elsewhere."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from datasets.bars import BAR_COLUMNS, Adjustment, Session
from datasets.errors import DatasetsError, InvalidRequest
from datasets.importing.columns import read_names
from datasets.importing.requests import ImportRequest, run_import


class Command(BaseCommand):
    help = (
        "Import the bars of a CSV or parquet file into the archive, as the source `imported`. Every line is checked; "
        "if one is wrong, nothing is imported. Docs: docs/importing.md."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="a CSV or parquet file")
        parser.add_argument("--symbol", required=True, metavar="EXCHANGE:SYMBOL")
        parser.add_argument("-t", "--timeframe", required=True, help="length of a bar, such as 1h")
        parser.add_argument(
            "--time-zone", metavar="ZONE", default="",
            help="zone of times without a UTC offset, such as UTC or America/New_York",
        )  # fmt: skip
        parser.add_argument(
            "--column", action="append", default=[], metavar="COLUMN=NAME",
            help=f"the file's name of a column, such as volume=Vol. ({', '.join(BAR_COLUMNS)}); may be repeated",
        )  # fmt: skip
        parser.add_argument(
            "--session", choices=[choice.value for choice in Session], default="regular"
        )
        parser.add_argument(
            "--adjustment", choices=[choice.value for choice in Adjustment], default="splits"
        )
        parser.add_argument("--dry-run", action="store_true", help="check all, and change nothing")
        parser.add_argument("--json", action="store_true", help="print the report as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        names = ("symbol", "timeframe", "session", "adjustment", "time_zone")
        try:
            request = ImportRequest(
                path=options["file"],
                columns=read_names(options["column"]),
                **{name: options[name] for name in names},
            )
            report = run_import(request, dry_run=options["dry_run"])
        except InvalidRequest as error:
            sentences = [sentence for each in error.errors.values() for sentence in each]
            raise CommandError("\n".join(sentences)) from error
        except DatasetsError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(report.as_dict(), indent=1))
            return
        for sentence in report.sentences():
            self.stdout.write(sentence)
