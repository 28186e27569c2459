"""Numbers of many series, kept for a minute: the database reads every watched series for them."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar

from django.conf import settings

from datasets.lru_cache import LruCache
from datasets.models import AuditEntry, database
from datasets.watchlists.series_plans import own_schedules

Value = TypeVar("Value")

# Fewer schedules are counted for each page.
COUNTED_EACH_TIME = 1_000
_KEPT_FOR = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Kept:
    """A result, the instant at which it was counted, and the newest change of a list before that."""

    value: Any
    counted_at: datetime
    newest_change: int | None


_kept: LruCache[tuple[str, Hashable], _Kept] = LruCache(256)


def kept(name: Hashable, count: Callable[[], Value]) -> Value:
    """Return the result of `count`; readers share it and do not change it.

    Above `COUNTED_EACH_TIME` schedules, the result of an earlier call with the same `name` is
    returned for `_KEPT_FOR`, as long as no watchlist was changed. Makes two queries itself.
    """
    if own_schedules().order_by()[: COUNTED_EACH_TIME + 1].count() <= COUNTED_EACH_TIME:
        return count()
    # Each change of a list has an audit entry in its transaction.
    changes = AuditEntry.objects.filter(kind="watchlist").order_by("-at", "-pk")
    newest_change = changes.values_list("pk", flat=True).first()
    key, now = (settings.TV_SOURCE, name), database.shared_now()
    found = _kept.find(key)
    if found is None or found.newest_change != newest_change or not (
        timedelta(0) <= now - found.counted_at < _KEPT_FOR
    ):  # fmt: skip
        found = _Kept(count(), now, newest_change)
        _kept.keep(key, found)
    value: Value = found.value
    return value
