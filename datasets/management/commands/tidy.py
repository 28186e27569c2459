"""`manage.py tidy --older-than 90d`: delete old history and files that were set aside."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from datasets.errors import StoreFailed
from datasets.fetching import retention_policy
from datasets.management.console import read_age
from datasets.models import database


class Command(BaseCommand):
    help = (
        "Delete old history: rows of fetches that ended long ago, old entries of the audit, incidents that ended long ago, files and replies set aside as unreadable "
        "long ago, deleted datasets in the trash, and expired sessions. Datasets of the catalog stay; "
        "`datasets prune` deletes those."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--older-than", type=read_age, metavar="AGE", required=True, help="such as 90d"
        )
        parser.add_argument("--dry-run", action="store_true", help="only print the numbers")
        parser.add_argument("--json", action="store_true", help="print JSON for scripts")

    def handle(self, *args: Any, **options: Any) -> None:
        before, is_dry = database.shared_now() - options["older_than"], options["dry_run"]
        try:
            removed = retention_policy.tidy(before, dry_run=is_dry)
        except StoreFailed as error:
            raise CommandError(str(error)) from error
        if not is_dry:
            call_command("clearsessions")
        if options["json"]:
            found = {
                "fetches": removed.fetches,
                "audit_entries": removed.audit_entries,
                "incidents": removed.incidents,
                "alerts": removed.alerts,
                "files": removed.files,
                "bytes": removed.files_bytes,
                "dry_run": is_dry,
            }
            self.stdout.write(json.dumps(found))
            return
        verb = "would be deleted" if is_dry else "deleted"
        self.stdout.write(
            f"{removed.fetches} ended fetches, {removed.audit_entries} audit entries, {removed.incidents} incidents, {removed.alerts} triggered alerts and {removed.files} files set aside ({removed.files_bytes} bytes) {verb}."
        )
