"""Schedules that fail, and receivers of the messages about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from datasets.models import Schedule, Series, database
from tests.support.factories import a_key
from tests.support.receivers import HttpReceiver, MailReceiver, http_receiver, mail_receiver

SECRET = "a-secret-of-the-tests"
NO_DATA = "no_data: TradingView has no bars of this symbol."
MakeSchedule = Callable[..., Schedule]


@pytest.fixture
def make_schedule(db: None) -> MakeSchedule:
    """Return a function that adds a schedule; with `last_time` also its series, of hourly bars."""

    def make(
        symbol: str = "BTCUSDT", *, last_time: datetime | None = None, **values: Any
    ) -> Schedule:
        key = a_key(symbol=symbol, n_bars=300)
        series = None
        if last_time is not None:
            series = Series.objects.create(
                source="sample", exchange="BINANCE", symbol=symbol, timeframe="1h",
                sequence=1, n_rows=100, bytes=1, first_time=last_time - timedelta(hours=99),
                last_time=last_time, last_bar_final=True, fetched_at=last_time + timedelta(hours=1),
                instrument={"type": "crypto", "timezone": "Etc/UTC", "session_hours": "24x7"},
            )  # fmt: skip
        return Schedule.objects.create(**key.as_dict(), series=series, **values)

    return make


@pytest.fixture
def webhook(settings: Any) -> Iterator[HttpReceiver]:
    """A receiver of webhooks, which the settings name."""
    with http_receiver() as receiver:
        settings.INCIDENT_WEBHOOK_URL = receiver.url
        settings.INCIDENT_WEBHOOK_SECRET = SECRET
        yield receiver


@pytest.fixture
def mailbox(settings: Any) -> Iterator[MailReceiver]:
    """A mail server, which the settings name."""
    with mail_receiver() as receiver:
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", receiver.port
        settings.EMAIL_USE_TLS = False
        settings.INCIDENT_MAIL_TO = ["ops@example.com"]
        settings.DEFAULT_FROM_EMAIL = "datasets@example.com"
        yield receiver


@pytest.fixture
def later(monkeypatch: pytest.MonkeyPatch) -> Callable[[timedelta], None]:
    """Return a function that moves the database's clock ahead."""
    ahead = timedelta()

    def move(span: timedelta) -> None:
        nonlocal ahead
        ahead += span

    monkeypatch.setattr(database, "now", lambda: datetime.now(UTC) + ahead)
    return move
