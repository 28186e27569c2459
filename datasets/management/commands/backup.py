"""`manage.py backup FOLDER`: back up the catalog and the datasets of a running service."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from datasets.catalog import backups
from datasets.errors import BackupFailed


class Command(BaseCommand):
    help = (
        "Copy the catalog and every dataset's file into a new folder, while the service runs, and check each copy. "
        "Exit status: 0 all files are whole, 1 a file is not."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="FOLDER", help="new, or empty")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            outcome = backups.back_up(options["folder"].resolve())
        except BackupFailed as error:
            raise CommandError(str(error)) from error
        for sentence in (*outcome.faults, *outcome.hints):
            self.stderr.write(sentence)
        self.stdout.write(f"{outcome.n_files} files and the catalog are in {options['folder']}.")
        if outcome.faults:
            sys.exit(1)
