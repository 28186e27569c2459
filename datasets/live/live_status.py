"""The state of the live connection, for the API, the status page and the metrics."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models import Max, TextChoices

from datasets.live.watched_series import all_watched
from datasets.models import LiveConnection, database

NOT_RUNNING = "No process holds the live connection. Start `manage.py live`, or wait: another host takes over within seconds."


class ConnectionState(TextChoices):
    """What the live connection is at this moment."""

    CONNECTED = "connected"
    CONNECTING = "connecting"
    IDLE = "idle"
    NOT_RUNNING = "not_running", "not running"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class LiveStatus:
    """The live connection of the own source. Instants are aware, UTC, and None where there is none.

    Parameters
    ----------
    state
        `connected`, `connecting` (series are watched and there is no connection), `idle` (no series
        is watched), `not_running` (no process holds the lease) or `off`.
    host, held_since
        The machine of the process that holds the lease, and when that process took the lease.
    connected_at
        When the connection was opened.
    n_watched, n_followed, n_most
        Series that clients watch; those of them that the connection receives; `TV_LIVE_SERIES`.
    heard_at
        The last update of a watched series.
    n_opened
        Connections that were opened so far: one more for each time it was lost.
    failed_at, failure
        The last refused or lost connection, also of an earlier day; its code and sentence.
    """

    state: ConnectionState
    host: str | None = None
    held_since: datetime | None = None
    connected_at: datetime | None = None
    n_watched: int = 0
    n_followed: int = 0
    n_most: int = 0
    heard_at: datetime | None = None
    n_opened: int = 0
    failed_at: datetime | None = None
    failure: str | None = None


def live_status() -> LiveStatus:
    """Return the state of the live connection; costs four short queries."""
    now = database.shared_now()
    found = LiveConnection.objects.filter(source=settings.TV_SOURCE).first()
    if not (settings.TV_LIVE and settings.TV_ENABLED):
        return LiveStatus(ConnectionState.OFF, n_most=settings.TV_LIVE_SERIES)
    watched = all_watched(now)
    n_watched, heard_at = watched.count(), watched.aggregate(at=Max("heard_at"))["at"]
    if found is None:
        return LiveStatus(
            ConnectionState.NOT_RUNNING, n_watched=n_watched, n_most=settings.TV_LIVE_SERIES
        )
    is_held, is_connected = found.is_held(now), found.is_connected(now)
    n_followed = 0
    if is_connected:
        n_followed = watched.filter(
            connection=found.owner, heard_at__gte=found.connected_at
        ).count()
    return LiveStatus(
        _name_state(n_watched, is_held=is_held, is_connected=is_connected),
        host=found.host if is_held else None,
        held_since=found.held_since if is_held else None,
        connected_at=found.connected_at if is_connected else None,
        n_watched=n_watched,
        n_followed=n_followed,
        n_most=settings.TV_LIVE_SERIES,
        heard_at=heard_at,
        n_opened=found.n_opened,
        failed_at=found.failed_at,
        failure=found.failure or None,
    )


def _name_state(n_watched: int, *, is_held: bool, is_connected: bool) -> ConnectionState:
    if not is_held:
        return ConnectionState.NOT_RUNNING
    if is_connected:
        return ConnectionState.CONNECTED
    return ConnectionState.CONNECTING if n_watched else ConnectionState.IDLE
