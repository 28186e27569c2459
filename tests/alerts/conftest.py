"""Alerts on hourly bars of one crypto pair, at a clock that the tests set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

from datasets import alerts
from datasets.bars import Instrument
from datasets.models import PriceAlert, database
from tests.support.archives import bars_of
from tests.support.arrivals import Arrivals
from tests.support.receivers import HttpReceiver, http_receiver

BEGIN = datetime(2025, 3, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)
BTC = Instrument(
    pro_name="BINANCE:BTCUSDT", full_name="BINANCE:BTCUSDT", timezone="Etc/UTC", type="crypto",
    session_hours="24x7",
)  # fmt: skip
MakeAlert = Callable[..., PriceAlert]


class Hours:
    """Hourly bars that arrive one fetch after another; hour 0 opens at `BEGIN`."""

    def __init__(self) -> None:
        self.arrivals = Arrivals(symbol="BTCUSDT", exchange="BINANCE")
        self.now = BEGIN

    def arrive(
        self, closes: dict[int, float], *, is_last_final: bool = True, **wicks: float
    ) -> None:
        """Merge bars with these closes by their hour; the clock stands a second after the last one."""
        last = max(closes)
        self.now = BEGIN + (last + (1 if is_last_final else 0.5)) * HOUR + timedelta(seconds=1)
        self.arrivals.now = self.now
        rows = {hour: _row(close, **wicks) for hour, close in closes.items()}
        self.arrivals.arrive(
            self.table(rows), after=timedelta(), last_bar_final=is_last_final, instrument=BTC
        )

    @staticmethod
    def table(rows: dict[int, tuple[float, float, float, float, float]]) -> pa.Table:
        return bars_of(rows, first=int(BEGIN.timestamp()))


def _row(close: float, up: float = 0, down: float = 0) -> tuple[float, float, float, float, float]:
    return close, close + up, close - down, close, 1.0


@pytest.fixture
def hours(db: None, monkeypatch: pytest.MonkeyPatch) -> Hours:
    """A series whose hours 0 and 1 have closed at 100, half an hour into hour 2."""
    made = Hours()
    made.arrive({0: 100.0, 1: 100.0})
    made.now = BEGIN + 2.5 * HOUR
    monkeypatch.setattr(database, "now", lambda: made.now)
    return made


@pytest.fixture
def make_alert(hours: Hours) -> MakeAlert:
    """Return a function that makes an alert on the series, by default above 110."""

    def make(**values: Any) -> PriceAlert:
        given: dict[str, Any] = {"condition": "above", "price": 110.0} | values
        return alerts.create_alert(hours.arrivals.key, user=None, by="test", **given)

    return make


@pytest.fixture
def webhook(settings: Any) -> Iterator[HttpReceiver]:
    """A receiver of webhooks, which the settings name."""
    with http_receiver() as receiver:
        settings.INCIDENT_WEBHOOK_URL = receiver.url
        settings.INCIDENT_WEBHOOK_SECRET = "a-secret-of-the-tests"
        yield receiver
