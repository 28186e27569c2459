"""Whether the live connection is missing although somebody watches an open market."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings

from datasets.calendars import Calendar, next_opening
from datasets.calendars.gap_findings import to_ms
from datasets.models import LiveConnection, LiveSeries

# A lost connection comes back within a minute, and another host takes over within 20 s.
_PATIENCE = timedelta(minutes=3)
NO_PROCESS = "No process holds the live connection: `manage.py live` does not run on any host."
NO_CONNECTION = "The process of the live connection has no connection to TradingView."


@dataclass(frozen=True, slots=True)
class MissingConnection:
    """The cause of missing live bars: code of the last failure, or "" without one, and a sentence."""

    error_code: str
    error_message: str


def missing_connection(now: datetime) -> MissingConnection | None:
    """Return why no live bars come at the instant `now` (aware); None while nothing is wrong.

    Something is wrong when there has been no connection for three minutes and a series whose
    market is open has been watched for as long.
    """
    if not (settings.TV_LIVE and settings.TV_ENABLED):
        return None
    found = LiveConnection.objects.filter(source=settings.TV_SOURCE).first()
    long_ago = now - _PATIENCE
    if found is not None and (found.is_connected(now) or _lost_at(found, now) > long_ago):
        return None
    watched = LiveSeries.objects.filter(
        asked_at__gt=now - LiveSeries.WATCHED_FOR,
        watched_since__lte=long_ago,
        series__source=settings.TV_SOURCE,
    )
    if not any(_is_open(live, now) for live in watched.select_related("series")):
        return None
    if found is None or not found.is_held(now):
        return MissingConnection("", NO_PROCESS)
    return MissingConnection(found.error_code, found.error_message or NO_CONNECTION)


def _lost_at(connection: LiveConnection, now: datetime) -> datetime:
    """Return when the last connection ended; of a process that died, the end of its lease."""
    ends = [connection.lost_at]
    if connection.connected_at is not None:
        ends.append(connection.lease_until)
    known = [end for end in ends if end is not None and end <= now]
    return max(known, default=now - 2 * _PATIENCE)


def _is_open(live: LiveSeries, now: datetime) -> bool:
    """Return whether the series' market is open; also where its hours are not known."""
    opening = next_opening(Calendar.of(live.series.instrument), to_ms(now))
    return opening is None or opening <= to_ms(now)
