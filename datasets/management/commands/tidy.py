"""`manage.py tidy --older-than 90d`: delete old history and files that were set aside."""

from __future__ import annotations

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from datasets.catalog import outputs
from datasets.errors import StoreFailed
from datasets.fetching import fetch_queue
from datasets.management.console import read_age
from datasets.models import AuditEntry, Incident, IncidentMessage, database


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
        before, is_dry = timezone.now() - options["older_than"], options["dry_run"]
        store = outputs.get_store()
        try:
            n_fetches = fetch_queue.delete_ended(before, dry_run=is_dry)
            n_entries = database.delete_in_steps(
                AuditEntry.objects.filter(at__lt=before), dry_run=is_dry
            )
            n_incidents = database.delete_in_steps(
                Incident.objects.filter(closed_at__lt=before), dry_run=is_dry
            )
            n_files, n_bytes = store.purge_removed(before, dry_run=is_dry)
        except StoreFailed as error:
            raise CommandError(str(error)) from error
        if not is_dry:
            # Messages are of no use without their incidents.
            IncidentMessage.objects.filter(incidents=None).delete()
            call_command("clearsessions")
        if options["json"]:
            found = {
                "fetches": n_fetches,
                "audit_entries": n_entries,
                "incidents": n_incidents,
                "files": n_files,
                "bytes": n_bytes,
                "dry_run": is_dry,
            }
            self.stdout.write(json.dumps(found))
            return
        verb = "would be deleted" if is_dry else "deleted"
        self.stdout.write(
            f"{n_fetches} ended fetches, {n_entries} audit entries, {n_incidents} incidents and {n_files} files set aside ({n_bytes} bytes) {verb}."
        )
