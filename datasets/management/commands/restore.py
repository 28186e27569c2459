"""`manage.py restore FOLDER`: restore a backup made by `manage.py backup`."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from datasets.catalog import backups
from datasets.errors import BackupFailed
from tvproject.announcements import running_sources


class Command(BaseCommand):
    help = (
        "Copy a backup into the folders of this service, which must be stopped, and check every file. "
        "Exit status: 0 all files are whole, 1 a file is not."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="FOLDER", help="a backup")
        parser.add_argument(
            "--force",
            action="store_true",
            help="move existing datasets and the existing catalog aside",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if running_sources(settings.STATE_DIR):
            raise CommandError("A service is running on this folder; stop it first.")
        try:
            outcome = backups.restore(options["folder"].resolve(), force=options["force"])
        except BackupFailed as error:
            raise CommandError(str(error)) from error
        for sentence in (*outcome.faults, *outcome.hints):
            self.stderr.write(sentence)
        self.stdout.write(f"{outcome.n_files} files and the catalog are restored.")
        if outcome.faults:
            sys.exit(1)
