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
        parser.add_argument(
            "--without-files",
            action="store_true",
            help="for a bucket that keeps its own versions: write the catalog and a list of the objects, with version and SHA-256",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            outcome = backups.back_up(
                options["folder"].resolve(), with_files=not options["without_files"]
            )
        except BackupFailed as error:
            raise CommandError(str(error)) from error
        for sentence in (*outcome.faults, *outcome.hints):
            self.stderr.write(sentence)
        files = f"{outcome.n_files} files"
        if options["without_files"]:
            files = f"A list of {outcome.n_files} objects"
        self.stdout.write(f"{files} and the catalog are in {options['folder']}.")
        if outcome.faults:
            sys.exit(1)
