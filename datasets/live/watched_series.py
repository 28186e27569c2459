"""Watched series: those whose live bars somebody requested within the last minute and a half."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db import Error
from django.db.models import Q

from datasets.models import LiveSeries, PriceAlert, Series, database

# A page that shows the series asks every few seconds, and a busy browser may miss some of these.
WATCHED_FOR = timedelta(seconds=90)
# A watcher's request writes the row only this rarely.
NOTED_EVERY = timedelta(seconds=20)
_DELETED_AFTER = timedelta(days=1)
# SQL by hand: Django takes ten times longer to build these statements than the database to run them.
_SERIES = f"SELECT * FROM {Series._meta.db_table} WHERE id = %s"
_LIVE = f"SELECT * FROM {LiveSeries._meta.db_table} WHERE series_id = %s"


def is_watched(live: LiveSeries | None) -> bool:
    """Return whether the live connection receives the series, or will once it has a place for it."""
    if live is None:
        return False
    return abs(database.shared_now() - live.asked_at) < WATCHED_FOR


def is_noted(live: LiveSeries | None) -> bool:
    """Return whether the row says already that somebody watches the series now."""
    return live is not None and abs(database.shared_now() - live.asked_at) < NOTED_EVERY


def note_asked(series_id: int) -> None:
    """Write that somebody watches the series now.

    A reader never waits for a writer: where the row is locked, a later request writes it.
    """
    now = database.shared_now()
    try:
        with database.without_waiting():
            LiveSeries.objects.update_or_create(series_id=series_id, defaults={"asked_at": now})
    except Error:
        return


def watched_series(owner: str) -> list[LiveSeries]:
    """Return the series that the connection `owner` has to receive, at most `TV_LIVE_SERIES`.

    Those that it receives already come first, then those that were asked for last.
    """
    now = database.shared_now()
    rows = LiveSeries.objects.filter(
        asked_at__range=(now - WATCHED_FOR, now + WATCHED_FOR), series__source=settings.TV_SOURCE
    )
    found = list(rows.select_related("series").order_by("-asked_at", "pk"))
    found.sort(key=lambda live: live.connection != owner)
    return found[: settings.TV_LIVE_SERIES]


def watch_alerted() -> None:
    """Watch the series of active alerts, at most half of `TV_LIVE_SERIES`.

    A series that a watchlist fetches at each close needs it only for an alert on forming bars.
    """
    is_fetched = Q(schedule__is_paused=False)
    needed = (
        Series.objects.filter(
            Q(alerts__bars=PriceAlert.Bars.FORMING) | ~is_fetched,
            source=settings.TV_SOURCE,
            alerts__state=PriceAlert.State.ACTIVE,
        )
        .distinct()
        .order_by("pk")
        .values_list("pk", flat=True)[: max(1, settings.TV_LIVE_SERIES // 2)]
    )
    rows = {live.series_id: live for live in LiveSeries.objects.filter(series__in=list(needed))}
    for series_id in needed:
        if not is_noted(rows.get(series_id)):
            note_asked(series_id)


def delete_unwatched() -> None:
    """Delete the rows that nobody has asked for since yesterday."""
    LiveSeries.objects.filter(asked_at__lt=database.shared_now() - _DELETED_AFTER).delete()


def find_series(series_id: int) -> tuple[Series, LiveSeries | None] | None:
    """Return the series with its live row, or None for an unknown number."""
    series = next(iter(Series.objects.raw(_SERIES, [series_id])), None)
    if series is None:
        return None
    return series, next(iter(LiveSeries.objects.raw(_LIVE, [series_id])), None)
