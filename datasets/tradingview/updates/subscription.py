"""One subscribed series: its messages become its newest bars."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np

from datasets.bars import DatasetKey, Instrument, plausibility
from datasets.bars.series_keys import SeriesKey
from datasets.errors import FetchError, WrongBars
from datasets.tradingview import refusals
from datasets.tradingview.client import to_interval
from datasets.tradingview.conversation import SERIES_ID, SYMBOL_ID
from datasets.tradingview.resolved_symbol import is_doubtful, read_instrument
from datasets.tradingview.rows import read_rows

# Bars of the first reply: enough to check the length of a bar, and to overlap with the archive.
N_FIRST_BARS = 20
# The newest bars that are kept.
MOST_BARS = 200

Message = tuple[str, list[Any]]
# Opening in UNIX seconds (UTC), open, high, low, close, volume; None where the exchange gives no volume.
Bar = tuple[float, float, float, float, float, float | None]


class Subscription:
    """State of one subscribed series.

    Parameters
    ----------
    key
        The series.
    chart_session
        The chart session that only this series has.
    """

    def __init__(self, key: SeriesKey, chart_session: str) -> None:
        self.key: DatasetKey = key.dataset(N_FIRST_BARS)
        self.chart_session = chart_session
        self.instrument = Instrument()
        self.is_complete = False
        # The reason why the feed sends no bars of the series, or why its bars were refused.
        self.error: FetchError | None = None
        # The feed's `bar_close_time` of the newest bar, UNIX seconds: its end, plus the feed's delay.
        self.close_time: float | None = None
        # Number of changes of the bars, of their closing time, or of the error.
        self.n_changes = 0
        self._rows: dict[float, Bar] = {}

    @property
    def bars(self) -> list[Bar]:
        """The newest bars, oldest first; the last one may be forming."""
        return [self._rows[opened] for opened in sorted(self._rows)]

    def opening(self) -> list[Message]:
        """Return the messages that begin the subscription."""
        chart, key = self.chart_session, self.key
        asked = {
            "symbol": key.full_symbol,
            "adjustment": key.adjustment.value,
            "session": key.session.value,
        }
        symbol = "=" + json.dumps(asked, separators=(",", ":"))
        interval = to_interval(key.timeframe).value
        return [
            ("chart_create_session", [chart, ""]),
            ("resolve_symbol", [chart, SYMBOL_ID, symbol]),
            (
                "create_series",
                [chart, SERIES_ID, SERIES_ID, SYMBOL_ID, interval, N_FIRST_BARS, ""],
            ),
        ]

    def handle(self, method: str, parameters: list[Any], feed_now: float) -> None:
        """Process one message about the chart session; `feed_now` is the feed's clock in UNIX seconds.

        An error message, and bars that cannot be right, set `error` and end the subscription.
        """
        try:
            self._apply(method, parameters, feed_now)
        except FetchError as error:
            self.error = error
            self.n_changes += 1

    def _apply(self, method: str, parameters: list[Any], feed_now: float) -> None:
        subject = parameters[1] if len(parameters) > 1 else None
        match method:
            case "symbol_resolved" if len(parameters) > 2 and isinstance(parameters[2], dict):
                self._read_symbol(parameters[2])
            case "timescale_update" | "du" if isinstance(subject, dict):
                series = subject.get(SERIES_ID)
                if isinstance(series, dict) and series.get("s"):
                    self._read_bars(series, feed_now)
            case "series_completed" if subject == SERIES_ID:
                self._complete()
            case "symbol_error":
                raise refusals.symbol_error(parameters, self.key.full_symbol)
            case "series_error":
                raise refusals.series_error(parameters, self.key.full_symbol, self.key.timeframe)
            case "critical_error":
                raise refusals.critical_error(parameters)

    def _read_symbol(self, facts: dict[str, Any]) -> None:
        before = self.instrument.pro_name
        if is_doubtful(self.key.full_symbol, facts):
            raise WrongBars(
                f"TradingView answered the request for {self.key.full_symbol} with another listing. Its live bars are "
                "not shown beside the stored ones. Fetch the series to see what TradingView sends."
            )
        self.instrument = read_instrument(facts)
        if before and self.instrument.pro_name != before:
            raise WrongBars(
                f"TradingView changed the instrument from {before} to {self.instrument.pro_name or 'none'} within one "
                "subscription. The live bars can belong to either instrument, so they are not shown."
            )

    def _read_bars(self, series: dict[str, Any], feed_now: float) -> None:
        rows, timeframe = read_rows(series["s"]), self.key.timeframe
        plausibility.check_seconds(rows[:, 0], timeframe)
        plausibility.check_clock(rows[:, 0], timeframe, feed_now=feed_now, own_now=time.time())
        newest = max(self._rows, default=float("-inf"))
        news = {bar[0]: bar for bar in map(_bar_of, rows.tolist())}
        status = series.get("lbs")
        close_time = status.get("bar_close_time") if isinstance(status, dict) else None
        if max(news) < newest or not isinstance(close_time, int | float):
            close_time = None if max(news) > newest else self.close_time
        merged = {**self._rows, **news}
        if merged == self._rows and close_time == self.close_time:
            return
        self._rows = {opened: merged[opened] for opened in sorted(merged)[-MOST_BARS:]}
        self.close_time = close_time
        self.n_changes += 1

    def _complete(self) -> None:
        """Check the length of the bars of the first reply."""
        self.is_complete = True
        times = np.array(sorted(self._rows), dtype=np.float64)
        if len(times):
            plausibility.check_spacing(
                times, self.key.timeframe, self.instrument, close_time=self.close_time
            )


def _bar_of(row: list[float]) -> Bar:
    opened, first, high, low, last, volume, has_volume = row
    return opened, first, high, low, last, volume if has_volume else None
