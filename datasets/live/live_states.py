"""States of the live bars in the catalog: the holder of the connection writes them, web processes read them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from django.db import transaction
from django.db.models import F

from datasets.live.connection_lease import ConnectionLease
from datasets.models import LiveSeries, database
from datasets.tradingview.updates.subscription import Subscription


class LeaseTaken(Exception):
    """Another process has claimed the live connection; this one must not write any more."""


def write_states(
    lease: ConnectionLease, changed: Sequence[tuple[LiveSeries, Subscription]]
) -> None:
    """Write the bars of the changed subscriptions in one transaction.

    Raises `LeaseTaken`, and writes nothing, when another process holds the connection.
    """
    if not changed:
        return
    now = database.shared_now()
    with transaction.atomic():
        # This update also locks the connection's row: no other process can claim it and write.
        if not lease.extend():
            raise LeaseTaken
        for live, subscription in sorted(changed, key=lambda pair: pair[0].pk):
            error, close_s = subscription.error, subscription.close_time
            LiveSeries.objects.filter(pk=live.pk).update(
                connection=lease.owner if error is None else "",
                version=F("version") + 1,
                bars=subscription.bars,
                close_time=None if close_s is None else datetime.fromtimestamp(close_s, UTC),
                delay_s=subscription.instrument.delay_s,
                heard_at=now,
                error_code="" if error is None else error.code,
                error_message="" if error is None else str(error),
            )
