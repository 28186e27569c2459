"""`manage.py retention`: show what the retention policy of the settings would delete now."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from datasets.errors import StoreFailed
from datasets.fetching import retention_policy


class Command(BaseCommand):
    help = (
        "Show what the retention policy (TIDY_AFTER_DAYS, PRUNE_UNUSED_AFTER_DAYS, PRUNE_OVER_MB) would delete now. "
        "The workers apply it once an hour; --apply applies it at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--apply", action="store_true", help="delete it now")
        parser.add_argument("--json", action="store_true", help="print JSON for scripts")

    def handle(self, *args: Any, **options: Any) -> None:
        is_applied = options["apply"]
        try:
            found = retention_policy.apply() if is_applied else retention_policy.plan()
        except StoreFailed as error:
            raise CommandError(str(error)) from error
        is_on = retention_policy.is_on()
        if options["json"]:
            values = {"on": is_on, "applied": is_applied, **found.as_dict()}
            self.stdout.write(json.dumps(values))
        elif not is_on:
            self.stdout.write("The retention policy is off: no setting turns it on.")
        else:
            self.stdout.write(f"{found} {'deleted' if is_applied else 'would be deleted'}.")
