"""Replies of `GET /api/tv/series/{id}/live`: the newest bars, and what is known of their state."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import orjson
from django.conf import settings
from django.db.models import Max, TextChoices

from datasets.bars import BarLength
from datasets.calendars import Calendar, bar_days
from datasets.calendars.gap_findings import to_instant
from datasets.errors import NotFound
from datasets.live.joined_bars import JoinedBars, held_since, join
from datasets.live.live_status import NOT_RUNNING
from datasets.live.poll_pace import pace
from datasets.live.watched_series import find_series
from datasets.models import LiveConnection, LiveSeries, PriceAlert, Series, database
from datasets.serving.reply_bodies.body_cache import Rendered
from datasets.serving.trust import Trusted
from datasets.watchlists.freshness import Freshness, bars_freshness


class LiveState(TextChoices):
    """What the live bars of a series are at this moment."""

    LIVE = "live"
    DELAYED = "delayed"
    CLOSED = "closed"
    BEHIND = "behind"
    WAITING = "waiting"
    FAILED = "failed"
    OFF = "off"


# Seconds until a client's next request while no bars can come.
_POLL_IDLE_S = 30
_IDLE = (LiveState.CLOSED, LiveState.OFF)


@dataclass(frozen=True, slots=True)
class LiveReply:
    """A rendered reply, and the row that says when somebody asked for the series last."""

    rendered: Rendered
    live: LiveSeries | None


# TradingView sends an update of a series every few seconds: a second is soon enough.
_TRUST_TIMES = 4
_replies: Trusted[tuple[int, datetime | None], LiveReply] = Trusted(4096, times=_TRUST_TIMES)
_triggers: Trusted[str, tuple[datetime | None]] = Trusted(8, times=_TRUST_TIMES)
_connections: Trusted[str, LiveConnection] = Trusted(8, times=_TRUST_TIMES)


def live_reply(series_id: int, since: datetime | None) -> LiveReply:
    """Return the bars of a series that open at or after `since`, the forming one included.

    Costs no query while the last reply is trusted (four times `WEB_TRUST_MS`: a second). Raises `NotFound`, and the
    errors of reading an archive.
    """
    pace.count()
    found = _replies.get((series_id, since), lambda: _make(series_id, since))
    if found is None:
        raise NotFound("There is no series with this number.")
    return found


def _make(series_id: int, since: datetime | None) -> LiveReply | None:
    found = find_series(series_id)
    if found is None:
        return None
    series, live = found
    joined = join(held_since(series, since), live, series, since)
    body = orjson.dumps(
        _content(series, live, joined, database.shared_now()), option=orjson.OPT_UTC_Z
    )
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    return LiveReply(Rendered(body, tag, is_gzip=False), live)


def _content(
    series: Series, live: LiveSeries | None, joined: JoinedBars, now: datetime
) -> dict[str, Any]:
    """Return the reply's values. None of them is the present instant, so that equal news have equal bytes."""
    bars, is_live = joined.bars, joined.unconfirmed_ms is not None
    is_forming = bool(bars) and _is_forming(series, live if is_live else None, now)
    return {
        "symbol": series.symbol,
        "exchange": series.exchange,
        "timeframe": series.timeframe,
        "count": len(bars),
        "ohlc": [
            {
                "time": to_instant(opened),
                "open": first,
                "high": high,
                "low": low,
                "close": last,
                "volume": volume,
            }
            for opened, first, high, low, last, volume in bars
        ],
        "series": series.pk,
        "source": series.source,
        "forming": is_forming,
        "closes_at": _close_of(live) if is_forming and is_live else None,
        "unconfirmed_from": to_instant(joined.unconfirmed_ms) if joined.unconfirmed_ms else None,
        "heard_at": live.heard_at if live is not None and is_live else None,
        "alerts_at": _alerts_at(),
        "trading_dates": _trading_dates(series, [bar[0] for bar in bars]),
        **_state(series, live, joined, now),
    }


def _is_forming(series: Series, live: LiveSeries | None, now: datetime) -> bool:
    """Return whether the newest bar has not closed; without live bars as of the last fetch."""
    if live is None:
        return not series.last_bar_final
    return live.close_time is None or live.close_time >= now


def _close_of(live: LiveSeries | None) -> datetime | None:
    """Return the end of the newest bar; the feed's `bar_close_time` is a second earlier at the end of a session."""
    if live is None or live.close_time is None:
        return None
    end = live.close_time - timedelta(seconds=live.delay_s)
    return end + timedelta(seconds=1) if end.second == 59 else end


def _state(
    series: Series, live: LiveSeries | None, joined: JoinedBars, now: datetime
) -> dict[str, Any]:
    fresh = bars_freshness(series, now)
    is_connected = live is not None and _is_connected(live, now)
    has_live_bars = is_connected and joined.is_joined
    lag = 0 if has_live_bars else fresh.lag_bars
    error = _error(live, now) if not is_connected else None
    delay_s = int(series.instrument.get("delay_s") or 0)
    if live is not None and is_connected:
        delay_s = live.delay_s
    state = _name_state(series, fresh, lag, error, delay_s, is_live=has_live_bars)
    return {
        "state": state.value,
        "summary": _summary(state, fresh, lag, delay_s),
        "poll_s": _poll_s(state, fresh, now),
        "delay_s": delay_s,
        "opens_at": fresh.opens_at,
        "lag_bars": lag,
        "error": error,
    }


def _name_state(
    series: Series,
    fresh: Freshness,
    lag: int | None,
    error: dict[str, str] | None,
    delay_s: int,
    *,
    is_live: bool,
) -> LiveState:
    if lag:
        return LiveState.BEHIND
    if fresh.opens_at is not None:
        return LiveState.CLOSED
    if is_live:
        return LiveState.DELAYED if delay_s else LiveState.LIVE
    if not (settings.TV_LIVE and settings.TV_ENABLED) or series.source != settings.TV_SOURCE:
        return LiveState.OFF
    return LiveState.WAITING if error is None else LiveState.FAILED


def _summary(state: LiveState, fresh: Freshness, lag: int | None, delay_s: int) -> str:
    """Return the state in a few words."""
    words = {
        LiveState.LIVE: "live",
        LiveState.DELAYED: f"delayed {max(1, round(delay_s / 60))} min",
        LiveState.BEHIND: f"{lag or 0:,} {'bar' if lag == 1 else 'bars'} behind",
        LiveState.WAITING: "waiting for live bars",
        LiveState.FAILED: "no live bars",
        LiveState.OFF: "not live",
    }
    if state is LiveState.CLOSED and fresh.opens_at is not None:
        return f"closed until {fresh.opens_at:%a %-d %b %H:%M} UTC"
    return words[state]


def _poll_s(state: LiveState, fresh: Freshness, now: datetime) -> int:
    """Return the seconds after which a client should ask again; short before the market opens."""
    if fresh.opens_at is not None and fresh.opens_at <= now + timedelta(seconds=2 * _POLL_IDLE_S):
        return pace.seconds
    return _POLL_IDLE_S if state in _IDLE else pace.seconds


def _is_connected(live: LiveSeries, now: datetime) -> bool:
    """Return whether the living connection of this source receives the series now."""
    found = _connection()
    if found is None or found.connected_at is None or live.heard_at is None:
        return False
    is_ours = live.connection == found.owner and live.heard_at >= found.connected_at
    return found.is_held(now) and is_ours


def _error(live: LiveSeries | None, now: datetime) -> dict[str, str] | None:
    """Return code and sentence of the refusal of the series, else of the last failed connection."""
    found = _connection()
    for row in (live, found):
        if row is not None and row.error_code:
            return {"code": row.error_code, "message": row.error_message}
    if found is None or not found.is_held(now):
        return {"code": "live_not_running", "message": NOT_RUNNING}
    return None


def _connection() -> LiveConnection | None:
    source = settings.TV_SOURCE
    return _connections.get(source, lambda: LiveConnection.objects.filter(source=source).first())


def _alerts_at() -> datetime | None:
    """Return when any alert of the service triggered last; read once a second for all series."""

    def read() -> tuple[datetime | None]:
        return (PriceAlert.objects.aggregate(newest=Max("triggered_at"))["newest"],)

    found = _triggers.get(settings.TV_SOURCE, read)
    return None if found is None else found[0]


def _trading_dates(series: Series, times: list[int]) -> list[str]:
    """Return the trading date of each bar, as the exchange counts it."""
    if not times:
        return []
    opened = np.array(times, dtype=np.int64)
    dates = bar_days(opened, Calendar.of(series.instrument), BarLength.parse(series.timeframe))
    days: list[str] = np.datetime_as_string(dates.dates.view("M8[D]")).tolist()
    return days
