"""Changes that a person makes to the queue and to the throttle; the audit records each."""

from __future__ import annotations

from django.db import transaction

from datasets.fetching import fetch_queue, throttle
from datasets.models import AuditEntry, Fetch


def cancel(fetch: Fetch, *, by: str, via: str) -> bool:
    """Cancel a fetch as `fetch_queue.cancel` does; return whether it was cancelled."""
    with transaction.atomic():
        is_cancelled = fetch_queue.cancel(fetch)
        if is_cancelled:
            AuditEntry.record(AuditEntry.Action.CANCELLED, fetch, by=by, via=via)
    return is_cancelled


def end_cool_down(*, by: str, via: str) -> None:
    """End the cool-down as `throttle.end_cool_down` does; errors as for that function.

    The entry is written first: when the throttle cannot be changed, the entry is rolled back.
    """
    with transaction.atomic():
        AuditEntry.record(
            AuditEntry.Action.ENDED, "pause of all calls", by=by, via=via, kind="cool-down"
        )
        throttle.end_cool_down(by=by)
