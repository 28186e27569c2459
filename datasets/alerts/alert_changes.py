"""Changes of alerts: each arms the alert again, or stops it.

`by` and `via` are for the audit: a user, token or address, and `api` or `admin`.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Q, QuerySet

from datasets.archive.series_rows import folder_of
from datasets.bars.series_keys import SeriesKey
from datasets.calendars.gap_findings import to_ms
from datasets.errors import InvalidRequest
from datasets.models import AuditEntry, LiveSeries, PriceAlert, Series, database
from datasets.storage.archives.known_bars import read_known

# Alerts of one user; all callers without sign-in have this number together.
MOST_ALERTS = 100
State = PriceAlert.State
Action = AuditEntry.Action
# Changes after which the bars that came before do not count any more.
_ARMING = ("condition", "price", "bars")


def alerts_of(user: User | None) -> QuerySet[PriceAlert]:
    """Return the alerts that the user may see and change: the own ones, and those made without sign-in."""
    own = Q(user=None) if user is None else Q(user=None) | Q(user=user)
    return PriceAlert.objects.filter(own, series__source=settings.TV_SOURCE).select_related(
        "series__schedule"
    )


def create_alert(
    key: SeriesKey, *, user: User | None, by: str, via: str = "api", **values: Any
) -> PriceAlert:
    """Return a new, active alert on the series `key`.

    `values` are `condition`, `price`, `bars`, `repeats` and `note`, all checked. Raises
    `InvalidRequest` for a series without bars, and when the user has `MOST_ALERTS` alerts; also
    the errors of reading an archive.
    """
    series = Series.find(key)
    if series is None:
        message = f"The service has no bars of {key}. Fetch the series first, then make the alert."
        raise InvalidRequest({"symbol": [message]})
    if PriceAlert.objects.filter(user=user).count() >= MOST_ALERTS:
        owner = "You have" if user is not None else "The callers without sign-in have"
        message = f"{owner} {MOST_ALERTS} alerts, and more are not possible. Delete one first."
        raise InvalidRequest({"alerts": [message]})
    alert = PriceAlert(series=series, user=user, created_at=database.now(), **values)
    _arm(alert)
    with transaction.atomic():
        alert.save()
        AuditEntry.record(Action.CREATED, alert, by=by, via=via)
    return alert


def change_alert(alert: PriceAlert, *, by: str, via: str = "api", **values: Any) -> None:
    """Change checked values of an alert; errors as for reading an archive.

    Another condition, price or kind of bars, and `state` `active`, arm the alert again: only bars
    that close from now on count. `state` `paused` stops it.
    """
    state = values.pop("state", None)
    is_other = any(
        getattr(alert, name) != values.get(name, getattr(alert, name)) for name in _ARMING
    )
    for name, value in values.items():
        setattr(alert, name, value)
    if state == State.PAUSED:
        alert.state, alert.pause_reason = State.PAUSED, ""
    elif state == State.ACTIVE or (is_other and alert.state != State.PAUSED):
        _arm(alert)
        values |= dict.fromkeys(_ARMED)
    columns = {*values, "state", "pause_reason"}
    with transaction.atomic():
        alert.save(update_fields=columns)
        action = {State.PAUSED: Action.PAUSED, State.ACTIVE: Action.RESUMED}.get(state)
        AuditEntry.record(action or Action.CHANGED, alert, by=by, via=via)


def delete_alert(alert: PriceAlert, *, by: str, via: str = "api") -> None:
    """Delete an alert, and its messages that are not sent yet."""
    with transaction.atomic():
        AuditEntry.record(Action.DELETED, alert, by=by, via=via)
        alert.delete()


# The columns that `_arm` sets.
_ARMED = (
    "state", "pause_reason", "armed_at", "reference_price", "generation", "checked_sequence",
    "checked_through", "triggered_at", "triggered_bar", "triggered_price",
)  # fmt: skip


def _arm(alert: PriceAlert) -> None:
    """Set the columns of an alert that begins now; bars that are held and closed already do not count."""
    series = alert.series
    known = read_known(folder_of(series.series_key), n_bars=2)
    bars = known.rows.select(["time", "close"]).to_pylist()
    closed = [bar["time"] for bar in bars if to_ms(bar["time"]) not in known.forming]
    live = LiveSeries.objects.filter(series=series).first()
    price = bars[-1]["close"] if bars else None
    if live is not None and live.bars and live.heard_at and live.heard_at > series.fetched_at:
        price = live.bars[-1][4]
    alert.state, alert.pause_reason = State.ACTIVE, ""
    alert.armed_at, alert.reference_price = database.now(), price
    alert.generation, alert.checked_sequence = series.generation, known.document.sequence
    alert.checked_through = closed[-1] if closed else None
    alert.triggered_at = alert.triggered_bar = alert.triggered_price = None
