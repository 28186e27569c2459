"""What does not work now: series whose fetches fail or that are behind, and the sign-in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from datasets.errors import SignInError, all_codes
from datasets.fetching import credentials
from datasets.incidents.live_condition import missing_connection
from datasets.models import Fetch, Incident, Schedule
from datasets.watchlists.freshness import FreshnessState, series_freshness
from datasets.watchlists.series_plans import LISTS_PAUSED, own_schedules

SIGN_IN_TOPIC = "sign_in"
NO_WORKER_TOPIC = "no_worker"
NO_LIVE_TOPIC = "no_live"
_SIGN_IN = "TradingView"


@dataclass(frozen=True, slots=True)
class Condition:
    """A failure as it is now; `topic` identifies its cause, and `failures` counts fetches in a row."""

    kind: Incident.Kind
    topic: str
    subject: str
    schedule_id: int | None = None
    failures: int = 0
    lag_bars: int | None = None
    error_code: str = ""
    error_message: str = ""


def find_conditions(now: datetime) -> list[Condition]:
    """Return all failures of the own source at the instant `now` (aware).

    A series counts as failing after `INCIDENT_FAILURES` failed fetches in a row, or when the
    schedule has given it up after a failure; as behind from `INCIDENT_LAG_BARS` bars on. While
    TradingView refuses the credentials, the series that fail for this reason are not counted.
    """
    schedules = list(own_schedules().select_related("series", "series__schedule").order_by("pk"))
    sign_in = _sign_in(schedules)
    found = [condition for each in schedules for condition in _of_series(each, now)]
    missing = missing_connection(now)
    if missing is not None:
        found.append(
            Condition(
                Incident.Kind.NO_LIVE, NO_LIVE_TOPIC, f"live bars of {settings.TV_SOURCE}",
                error_code=missing.error_code, error_message=missing.error_message,
            )
        )  # fmt: skip
    if sign_in is None:
        return found
    return [sign_in, *(each for each in found if not _is_about_sign_in(each.error_code))]


def _of_series(schedule: Schedule, now: datetime) -> Iterator[Condition]:
    """Yield the condition of one series: failing, else behind, else none."""
    if schedule.pause_reason == LISTS_PAUSED:
        return
    topic, subject = f"schedule-{schedule.pk}", str(schedule.series_key)
    fresh = None if schedule.series is None else series_freshness(schedule.series, now)
    lag_bars = None if fresh is None else fresh.lag_bars
    limit = settings.INCIDENT_FAILURES
    is_given_up = schedule.is_paused and schedule.failures > 0
    if limit and (schedule.failures >= limit or is_given_up):
        code, message = _last_error(schedule)
        yield Condition(
            Incident.Kind.FAILING, topic, subject, schedule.pk,
            failures=schedule.failures, lag_bars=lag_bars, error_code=code, error_message=message,
        )  # fmt: skip
        return
    states = (FreshnessState.BEHIND, FreshnessState.FAILING)
    if fresh is None or fresh.state not in states or not settings.INCIDENT_LAG_BARS:
        return
    if lag_bars is not None and lag_bars >= settings.INCIDENT_LAG_BARS:
        code, message = _last_error(schedule)
        yield Condition(
            Incident.Kind.BEHIND, topic, subject, schedule.pk,
            failures=schedule.failures, lag_bars=lag_bars, error_code=code,
            error_message=message or fresh.reason,
        )  # fmt: skip


def _sign_in(schedules: list[Schedule]) -> Condition | None:
    """Return the refusal of the sign-in, by its own row, a schedule or the newest ended fetch."""
    refusal = credentials.last_refusal()
    if refusal is not None:
        code, message = refusal
        return Condition(
            Incident.Kind.SIGN_IN, SIGN_IN_TOPIC, _SIGN_IN, error_code=code, error_message=message
        )
    errors = [_last_error(each) for each in schedules if each.failures]
    ended = (Fetch.State.SUCCEEDED, Fetch.State.FAILED)
    newest = (
        Fetch.objects.filter(source=settings.TV_SOURCE, state__in=ended).order_by("-pk").first()
    )
    if newest is not None:
        errors.append((newest.error_code, newest.error_message))
    for code, message in errors:
        if _is_about_sign_in(code):
            return Condition(
                Incident.Kind.SIGN_IN, SIGN_IN_TOPIC, _SIGN_IN,
                error_code=code, error_message=message,
            )  # fmt: skip
    return None


def _last_error(schedule: Schedule) -> tuple[str, str]:
    """Return code and sentence of the schedule's last failure, which one text holds."""
    code, _, message = schedule.last_error.partition(": ")
    return (code, message) if code in all_codes() else ("", schedule.last_error)


def _is_about_sign_in(code: str) -> bool:
    error = all_codes().get(code)
    return error is not None and issubclass(error, SignInError)
