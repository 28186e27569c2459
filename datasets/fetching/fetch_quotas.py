"""Quotas: the number of fetches that one person may begin on a day, counted in the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from django.conf import settings
from django.db.models import F

from datasets.errors import TooManyRequests
from datasets.models import DailyFetches, database


@dataclass(frozen=True, slots=True)
class Quota:
    """A person's fetches of today: the number begun, the limit, and the end of the day (UTC)."""

    n_begun: int
    limit: int
    ends_at: datetime

    @property
    def is_used_up(self) -> bool:
        """Whether the person may begin no more fetches today."""
        return self.n_begun >= self.limit


def count(by: str) -> None:
    """Count one fetch of the person `by`; called in the transaction that adds the fetch's row.

    `by` is empty for schedules and for the operator's commands, which have no quota. Raises
    `TooManyRequests` when the person has used up the quota of this day.
    """
    limit = settings.API_FETCHES_PER_DAY
    if not limit or not by:
        return
    now = database.now()
    rows = DailyFetches.objects.filter(person=_person(by))
    DailyFetches.objects.get_or_create(person=_person(by), defaults={"day": now.date()})
    rows.exclude(day=now.date()).update(day=now.date(), number=0)
    # One guarded statement: simultaneous requests cannot both take the last place.
    if rows.filter(number__lt=limit).update(number=F("number") + 1):
        return
    ends_at = _end_of_day(now)
    left_s = (ends_at - now).total_seconds()
    raise TooManyRequests(
        f"You have begun {limit} fetches today, the limit for one person and day (API_FETCHES_PER_DAY). "
        f"The limit ends at {ends_at:%Y-%m-%d %H:%M} UTC, in {left_s / 3600:.1f} h. Stored bars are still available.",
        retry_after_s=max(left_s, 1),
    )


def take_back(by: str) -> None:
    """Remove one fetch from today's count of the person `by`: it was not needed after all."""
    if settings.API_FETCHES_PER_DAY and by:
        today = DailyFetches.objects.filter(person=_person(by), day=database.now().date())
        today.filter(number__gt=0).update(number=F("number") - 1)


def quota_of(by: str) -> Quota | None:
    """Return the quota of the person `by`; None without a limit."""
    if not settings.API_FETCHES_PER_DAY or not by:
        return None
    now = database.now()
    row = DailyFetches.objects.filter(person=_person(by), day=now.date()).first()
    return Quota(row.number if row else 0, settings.API_FETCHES_PER_DAY, _end_of_day(now))


def _person(by: str) -> str:
    """Return the user of a caller's name; all tokens of a user share the user's quota."""
    # `Caller.name` appends the token; a user's name has no comma.
    return by.partition(", token ")[0][:150]


def _end_of_day(now: datetime) -> datetime:
    return datetime.combine(now.date() + timedelta(days=1), time(), UTC)
