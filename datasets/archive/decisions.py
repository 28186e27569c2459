"""Decisions of a person about open revisions: the archive, its rows and its datasets change together."""

from __future__ import annotations

from django.db import transaction

from datasets.archive.decision_plans import Decision, plan_decision
from datasets.archive.following.archive_views import prepared_views
from datasets.archive.plans import MergePlan
from datasets.archive.preparation import prepared_plan, with_older_bars
from datasets.archive.series_rows import unrecorded
from datasets.archive.spans import spans_of
from datasets.catalog.outputs import archives, require_folder
from datasets.errors import FileMissing, InvalidRequest
from datasets.models import AuditEntry, Revision, database
from datasets.storage.archives.archive_files import SEEN_SCHEMA, from_ms, to_ms
from datasets.storage.archives.archive_queries import read_range, read_revisions
from datasets.storage.archives.revision_records import RevisionState, read_records
from datasets.storage.archives.series_writer import SeriesWriter


def accept_new(revision: Revision, *, by: str, via: str = "command") -> None:
    """Take the newer values of an open revision into the archive; `by` is the user's name.

    Disputed prices are replaced, vanished bars stay out, and after a step of the basis the older
    bars join again, rescaled. Errors as for `keep_old`.
    """
    _decide(revision, RevisionState.ACCEPTED, by=by, via=via)


def keep_old(revision: Revision, *, by: str, via: str = "command") -> None:
    """Keep the older values of an open revision; `by` is the user's name.

    Disputed prices stay as they are, and vanished bars come back. Later fetches that repeat the
    same change do not report it again.

    Raises
    ------
    InvalidRequest
        The revision is decided already, or its older values cannot be kept.
    StoreFailed
        A file could not be written. Nothing was changed.
    StoreError
        A file of the archive is missing or corrupt. Nothing was changed.
    StoreUnavailable
        The disk with the archive is not mounted.
    """
    _decide(revision, RevisionState.KEPT_OLD, by=by, via=via)


def _decide(revision: Revision, state: RevisionState, *, by: str, via: str) -> None:
    key = revision.series.series_key
    require_folder(key.source)

    def make_plan(writer: SeriesWriter) -> MergePlan:
        return _plan(writer, revision.number, state, by=by)

    # All files are written and synced before the transaction, as for a fetch.
    with (
        prepared_plan(archives(), key, make_plan) as archive,
        prepared_views(archive.folder, archive.document) as views,
    ):
        earlier = unrecorded(archive.folder, archive.document)
        with transaction.atomic():
            ready = views.lock_ready()
            archive.commit()
            views.put_in_place(ready, [*earlier, *archive.plan.records])
            AuditEntry.record(AuditEntry.Action(state.value), revision, by=by, via=via)
    revision.refresh_from_db()


def _plan(writer: SeriesWriter, number: int, state: RevisionState, *, by: str) -> MergePlan:
    document, folder = writer.document, writer.folder
    if document is None:
        raise FileMissing(f"{folder.path.name} has no archive.")
    # The record is read under the series' lock: another decision can have come first.
    record = next((each for each in read_records(folder) if each.number == number), None)
    if record is None:
        raise InvalidRequest({"revision": [f"The archive has no revision {number}."]})
    if record.state is not RevisionState.OPEN:
        decided = f" by {record.decided_by}" if record.decided_by else ""
        raise InvalidRequest(
            {"revision": [f"Revision {number} is decided already{decided}: {record.state.value}."]}
        )
    at = from_ms(max(to_ms(database.shared_now()), to_ms(document.fetched_at)))
    held = SEEN_SCHEMA.empty_table()
    if record.first_time is not None and record.last_time is not None:
        end = from_ms(to_ms(record.last_time) + 1)
        held = read_range(folder, record.first_time, end).rows
    decision = Decision(record, state, at, by)
    plan = plan_decision(decision, document, held, read_revisions(folder))
    if not plan.confirmed:
        return plan
    return with_older_bars(folder, plan, spans_of(document), at)
