"""Watched series: those whose live bars somebody requested within the last minute and a half."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import Error, connection
from django.db.models import Q, QuerySet

from datasets.lru_cache import LruCache
from datasets.models import LiveSeries, PriceAlert, Series, database

# A watcher's request writes the row only this rarely.
NOTED_EVERY = timedelta(seconds=20)
_DELETED_AFTER = timedelta(days=1)
# SQL by hand: Django takes ten times longer to build these statements than the database to run them.
_SERIES = f"SELECT * FROM {Series._meta.db_table} WHERE id = %s"
_LIVE = f"SELECT * FROM {LiveSeries._meta.db_table} WHERE series_id = %s"
# Values that change with every change of the two rows.
_MARKS = (
    "SELECT series.sequence, series.fetched_at, live.version, live.asked_at "
    f"FROM {Series._meta.db_table} series LEFT JOIN {LiveSeries._meta.db_table} live "
    "ON live.series_id = series.id WHERE series.id = %s"
)
# Rows by number of the series and marks: Django takes ten times longer to make a row than to read the marks.
_series_rows: LruCache[tuple[object, ...], Series] = LruCache(2048)
_live_rows: LruCache[tuple[object, ...], LiveSeries] = LruCache(2048)


def is_watched(live: LiveSeries | None) -> bool:
    """Return whether the live connection receives the series, or will once it has a place for it."""
    if live is None:
        return False
    return abs(database.shared_now() - live.asked_at) < LiveSeries.WATCHED_FOR


def is_noted(live: LiveSeries | None) -> bool:
    """Return whether the row says already that somebody watches the series now."""
    return live is not None and abs(database.shared_now() - live.asked_at) < NOTED_EVERY


def note_asked(series_id: int, live: LiveSeries | None) -> None:
    """Write that somebody watches the series now; `live` is its row as it was read.

    A reader never waits for a writer: where the row is locked, a later request writes it.
    """
    now = database.shared_now()
    begin = {} if is_watched(live) else {"watched_since": now}
    try:
        with database.without_waiting():
            LiveSeries.objects.update_or_create(
                series_id=series_id, defaults={"asked_at": now} | begin
            )
    except Error:
        return


def all_watched(now: datetime) -> QuerySet[LiveSeries]:
    """Return the rows of the series of the own source that are watched at `now` (aware)."""
    span = (now - LiveSeries.WATCHED_FOR, now + LiveSeries.WATCHED_FOR)
    return LiveSeries.objects.filter(asked_at__range=span, series__source=settings.TV_SOURCE)


def watched_series(owner: str) -> list[LiveSeries]:
    """Return the series that the connection `owner` has to receive, at most `TV_LIVE_SERIES`.

    Those that it receives already come first, then those that were asked for last.
    """
    rows = all_watched(database.shared_now())
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
        live = rows.get(series_id)
        if not is_noted(live):
            note_asked(series_id, live)


def delete_unwatched() -> None:
    """Delete the rows that nobody has asked for since yesterday."""
    LiveSeries.objects.filter(asked_at__lt=database.shared_now() - _DELETED_AFTER).delete()


def find_series(series_id: int) -> tuple[Series, LiveSeries | None] | None:
    """Return the series with its live row, or None for an unknown number.

    Both are shared by all threads: do not change them.
    """
    with connection.cursor() as cursor:
        cursor.execute(_MARKS, [series_id])
        marks = cursor.fetchone()
    if marks is None:
        return None
    sequence, fetched_at, version, asked_at = marks
    key = (series_id, sequence, fetched_at)
    series = _series_rows.find(key) or next(iter(Series.objects.raw(_SERIES, [series_id])), None)
    if series is None:
        return None
    _series_rows.keep(key, series)
    if version is None:
        return series, None
    key = (series_id, version, asked_at)
    live = _live_rows.find(key) or next(iter(LiveSeries.objects.raw(_LIVE, [series_id])), None)
    if live is not None:
        _live_rows.keep(key, live)
    return series, live
