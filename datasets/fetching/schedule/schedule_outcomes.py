"""Outcomes: the end of a schedule's fetch, written to the schedule."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import transaction

from datasets.errors import SymbolNotFound
from datasets.fetching.schedule.due_times import back_off, look_again_at, next_due
from datasets.models import Fetch, Schedule, database
from datasets.watchlists.list_changes import note_problem

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ScheduleOutcome:
    """A schedule after a fetch of it has ended, with its new values, and that fetch."""

    schedule: Schedule
    fetch: Fetch

    @property
    def is_failure(self) -> bool:
        """Whether the fetch failed; a cancelled fetch is neither failure nor success."""
        return self.fetch.state == Fetch.State.FAILED


def settle_ended(now: datetime) -> list[ScheduleOutcome]:
    """Write the ends of the schedules' fetches to the schedules, and return them.

    Each end is returned by one call only, also when several processes call at the same time. A
    schedule whose fetch failed is tried again after a pause, doubled each time, at most 24 h;
    a symbol that TradingView does not have twice in a row pauses its series.
    """
    ended = (
        Schedule.objects.filter(source=settings.TV_SOURCE, fetch__isnull=False)
        .exclude(fetch__state__in=Fetch.ACTIVE)
        .select_related("series__schedule", "fetch__series__schedule")
    )
    outcomes = []
    for schedule in ended:
        fetch = schedule.fetch
        assert fetch is not None
        values = _values_after(schedule, fetch, now)
        with transaction.atomic():
            # Guarded: another worker may have written this end already.
            still = Schedule.objects.filter(pk=schedule.pk, fetch_id=fetch.pk)
            if not still.update(fetch=None, **values):
                continue
            if fetch.state == Fetch.State.SUCCEEDED:
                note_problem(schedule.exchange, schedule.symbol, "")
            elif values.get("is_paused"):
                note_problem(schedule.exchange, schedule.symbol, values["pause_reason"])
        for name, value in {"fetch": None, **values}.items():
            setattr(schedule, name, value)
        if schedule.is_paused:
            logger.warning("schedule of %s: paused: %s", schedule, schedule.pause_reason)
        outcomes.append(ScheduleOutcome(schedule, fetch))
    return outcomes


def _values_after(schedule: Schedule, fetch: Fetch, now: datetime) -> dict[str, Any]:
    """Return the values that the schedule gets after its fetch."""
    if fetch.series is not None:
        # The calendar of the series is known from the first bars on.
        schedule.series = fetch.series
    if fetch.state == Fetch.State.SUCCEEDED:
        values: dict[str, Any] = {
            "series": fetch.series,
            "failures": 0,
            "last_error": "",
            "last_ok_at": fetch.finished_at or database.shared_now(),
        }
        if schedule.backfilled_at is None:
            is_whole = fetch.n_bars >= schedule.n_bars
            values["backfilled_at"] = values["last_ok_at"] if is_whole else None
            values["due_at"] = next_due(schedule, now) if is_whole else now
        elif (again_at := look_again_at(schedule, now)) is not None:
            values["due_at"] = min(again_at, next_due(schedule, now))
        return values
    if fetch.state != Fetch.State.FAILED:
        # A person cancelled it; the next bar is fetched as planned.
        return {"due_at": next_due(schedule, now)}
    failures = schedule.failures + 1
    values = {
        "failures": min(failures, 32_000),
        "last_error": f"{fetch.error_code}: {fetch.error_message}",
        "due_at": now + back_off(schedule, failures),
    }
    is_unknown = fetch.error_code == SymbolNotFound.code
    if is_unknown and schedule.last_error.startswith(f"{SymbolNotFound.code}: "):
        values |= {
            "is_paused": True,
            "pause_reason": f"TradingView did not find the symbol twice in a row: {fetch.error_message}",
        }
    return values
