"""The conversation about one dataset: TradingView's messages become the bars of one reply."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from datasets.bars import DatasetKey, FetchedBars, Instrument, make_table, plausibility
from datasets.bars.instants import in_milliseconds
from datasets.errors import NoData, WrongBars
from datasets.tradingview import refusals
from datasets.tradingview.resolved_symbol import is_doubtful, read_instrument
from datasets.tradingview.rows import ReceivedRows, read_rows

# As tvDatafeed's `get_hist` names them.
SERIES_ID = "s1"
SYMBOL_ID = "symbol_1"
# Messages about a chart session; all others are ignored.
METHODS = frozenset(
    {
        "series_loading", "symbol_resolved", "timescale_update", "du", "series_completed",
        "symbol_error", "series_error", "critical_error",
    }
)  # fmt: skip


class Conversation:
    """State of one reply: its messages so far and the resulting bars.

    Parameters
    ----------
    key
        The requested dataset.
    chart_session
        Our chart session; messages of other sessions are ignored.
    on_bars
        Called with the number of bars received so far.
    """

    def __init__(
        self,
        key: DatasetKey,
        chart_session: str,
        on_bars: Callable[[int], None] = lambda n_rows: None,
    ) -> None:
        self.key = key
        self.chart_session = chart_session
        self.on_bars = on_bars
        self.instrument = Instrument()
        self.is_complete = False
        self.is_limited = False
        self._rows = ReceivedRows(key.n_bars)
        self._n_updates = 0
        self._n_unique_before_more = -1
        # True once a message answers the last request.
        self._is_answered = True
        self._n_unannounced = 0
        self._is_completed_twice = False
        self._is_other_listing = False
        self._newest = -math.inf
        self._bar_close_time: float | None = None
        self._server_time = time.time()

    @property
    def n_received(self) -> int:
        """The number of received bars, repeated ones included."""
        return self._rows.n_received

    def handle(self, message: dict[str, Any]) -> bool:
        """Process one message; return whether it belongs to this conversation.

        Raises the `FetchError` of an error message.
        """
        method, parameters = message.get("m"), message.get("p")
        if not isinstance(method, str) or not isinstance(parameters, list):
            return False
        if method == "protocol_error":
            raise refusals.protocol_error(parameters)
        if method not in METHODS or not parameters or parameters[0] != self.chart_session:
            return False
        if isinstance(message.get("t"), int | float):
            self._server_time = message["t"]
        self._apply(method, parameters)
        return True

    def _apply(self, method: str, parameters: list[Any]) -> None:
        subject = parameters[1] if len(parameters) > 1 else None
        match method:
            case "series_loading" if subject == SERIES_ID:
                self._is_answered = True
            case "symbol_resolved" if subject == SYMBOL_ID and len(parameters) > 2:
                if isinstance(parameters[2], dict):
                    self._read_symbol(parameters[2])
            case "timescale_update" | "du":
                self._read_bars(parameters, is_update=method == "du")
            case "series_completed" if subject == SERIES_ID:
                self._complete(parameters[4] if len(parameters) > 4 else None)
            case "symbol_error":
                raise refusals.symbol_error(parameters, self.key.full_symbol)
            case "series_error" if subject == SERIES_ID:
                raise refusals.series_error(parameters, self.key.full_symbol, self.key.timeframe)
            case "critical_error":
                raise refusals.critical_error(parameters)

    def n_missing(self) -> int:
        """Return the number of older bars to request, 0 for a complete reply.

        TradingView does not mark the beginning of history. Older bars are requested until a
        reply brings no new bar, or names the account's limit.
        """
        n_unique = self._rows.n_unique()
        missing = self.key.n_bars - n_unique
        brought_nothing = self._n_unique_before_more == n_unique
        if missing <= 0 or self.is_limited or brought_nothing or not n_unique:
            return 0
        return missing

    def start_older(self) -> None:
        """Start the next part of the reply: older bars have been requested."""
        self._is_answered = False
        self._n_unique_before_more = self._rows.n_unique()
        self.is_complete = False

    def result(self) -> FetchedBars:
        """Return the bars of the complete reply.

        Raises `NoData` for a reply without bars, `BadBars` or `WrongBars` for impossible bars.
        """
        if not self._rows.n_received:
            raise NoData(
                f"TradingView knows {self.key.full_symbol} and has no bars of it at {self.key.timeframe}. "
                "Choose another timeframe, or check whether the symbol is still traded."
            )
        rows, n_duplicates = self._rows.merged()
        times, timeframe, instrument = rows[:, 0], self.key.timeframe, self.instrument
        close_time = self._bar_close_time
        plausibility.check_seconds(times, timeframe)
        doubts = {
            "future": plausibility.check_clock(
                times, timeframe, feed_now=self._server_time, own_now=time.time()
            ),
            "spacing": plausibility.check_spacing(
                times, timeframe, instrument, close_time=close_time
            ),
            "off_grid": plausibility.count_off_grid(times, timeframe, instrument, self.key.session),
            "zero_price": plausibility.count_zero_prices(rows[:, 1:5], instrument),
            "instrument": len(rows) if self._is_other_listing else 0,
            "completed_twice": len(rows) if self._is_completed_twice else 0,
        }
        return FetchedBars(
            table=make_table(rows[:, :6], has_volume=rows[:, 6] == 1.0),
            instrument=instrument,
            # In whole milliseconds as in the files: of two fetches within one second the archive
            # keeps the order.
            fetched_at=in_milliseconds(datetime.now(UTC)),
            # `bar_close_time` is the end of the bar, or one second earlier at the end of a session;
            # on a delayed feed it is later by the delay. A time in the past always means: closed.
            last_bar_final=None if close_time is None else close_time < self._server_time,
            is_limited=self.is_limited,
            n_duplicates=max(n_duplicates - self._n_updates, 0),
            doubts={code: number for code, number in doubts.items() if number},
        )

    # --- the messages -----------------------------------------------------------------

    def _read_symbol(self, facts: dict[str, Any]) -> None:
        if is_doubtful(self.key.full_symbol, facts):
            self._is_other_listing = True
        before, self.instrument = self.instrument, read_instrument(facts)
        if before.pro_name and self.instrument.pro_name != before.pro_name:
            raise WrongBars(
                f"TradingView changed the instrument within one reply, from {before.pro_name} to "
                f"{self.instrument.pro_name or 'none'}. The bars can belong to either instrument."
            )
        if before.full_name and self.instrument.full_name != before.full_name:
            self._is_other_listing = True

    def _read_bars(self, parameters: list[Any], *, is_update: bool) -> None:
        body = parameters[1] if len(parameters) > 1 else None
        series = body.get(SERIES_ID) if isinstance(body, dict) else None
        if isinstance(series, dict) and series.get("s"):
            rows = read_rows(series["s"])
            self._is_answered = True
            if not is_update:
                self._rows.require_settled(rows)
            self._rows.add(rows)
            self._n_updates += len(rows) if is_update else 0
            newest, status = float(rows[:, 0].max()), series.get("lbs")
            close_time = status.get("bar_close_time") if isinstance(status, dict) else None
            # Messages with older bars do not change the closing time of the newest bar.
            if newest >= self._newest and isinstance(close_time, int | float):
                self._bar_close_time = close_time
            elif newest > self._newest:
                # The stored closing time belongs to an older bar.
                self._bar_close_time = None
            self._newest = max(self._newest, newest)
        if not is_update:
            self.on_bars(self._rows.n_received)

    def _complete(self, details: Any) -> None:
        if isinstance(details, dict) and details.get("data_completed") == "limit":
            self.is_limited = True
        if self.is_complete:
            self._is_completed_twice = True
        elif not self._is_answered:
            # A reply begins with `series_loading` or bars. An end without both repeats the previous
            # end: request the older bars once more. The second such end counts as an end.
            self._n_unannounced += 1
            self._is_completed_twice = self._n_unannounced == 1
            if self._is_completed_twice:
                self._n_unique_before_more = -1
        self.is_complete = True
        self._rows.settle()
