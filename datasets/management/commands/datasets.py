"""`manage.py datasets …`: list, verify, rebuild, prune and export the datasets of the catalog."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from datasets.errors import StoreUnavailable
from datasets.management.dataset_actions import run_action
from datasets.management.dataset_arguments import ACTIONS, add_action_arguments
from datasets.management.dataset_printer import DatasetPrinter


class Command(BaseCommand):
    help = "List the datasets, compare the catalog with the files, correct it, and remove datasets."

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        for name, sentence in ACTIONS.items():
            action = actions.add_parser(name, help=sentence, description=sentence)
            add_action_arguments(action, name)

    def handle(self, *args: Any, **options: Any) -> None:
        printer = DatasetPrinter(self.stdout, self.stderr, as_json=options["json"])
        try:
            is_well = run_action(options, printer)
        except StoreUnavailable as error:
            raise CommandError(str(error)) from error
        if not is_well:
            sys.exit(1)
