"""One request for bars and its reply, frame by frame; what is not ours is passed over."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.bars import DatasetKey, FetchedBars, Instrument, make_table, plausibility
from datasets.errors import NoData, WrongBars
from datasets.tradingview import identity, refusals
from datasets.tradingview.reading import read_instrument, read_rows
from datasets.tradingview.rows import ReceivedRows

# As tvDatafeed's `get_hist` names them.
SERIES_ID = "s1"
SYMBOL_ID = "symbol_1"


class Conversation:
    """The state of one reply.

    Parameters
    ----------
    key
        What was asked for.
    chart_session
        Our chart session; frames of any other are not ours.
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
        # Whether the feed has said anything about the last thing that it was asked.
        self._is_answered = True
        self._n_unannounced = 0
        self._is_completed_twice = False
        self._is_other_listing = False
        self._newest = -math.inf
        self._bar_close_time: float | None = None
        self._server_time = time.time()

    @property
    def n_received(self) -> int:
        """How many bars have come, repeated ones included."""
        return self._rows.n_received

    def handle(self, message: dict[str, Any]) -> bool:
        """Take in one message; return whether it was about this conversation.

        Raises the `FetchError` that the message stands for.
        """
        method, parameters = message.get("m"), message.get("p")
        if not isinstance(method, str) or not isinstance(parameters, list):
            return False
        if method == "protocol_error":
            raise refusals.protocol_error(parameters)
        handler = self._HANDLERS.get(method)
        if handler is None or not parameters or parameters[0] != self.chart_session:
            return False
        if isinstance(message.get("t"), int | float):
            self._server_time = message["t"]
        handler(self, parameters)
        return True

    def wants_more(self) -> int:
        """Return how many older bars are still to be asked for, 0 when the reply is whole.

        TradingView does not say whether a short reply is all there is, so it is asked until
        an answer brings nothing new, or names the limit.
        """
        n_unique = self._rows.n_unique()
        missing = self.key.n_bars - n_unique
        brought_nothing = self._n_unique_before_more == n_unique
        if missing <= 0 or self.is_limited or brought_nothing or not n_unique:
            return 0
        return missing

    def ask_for_more(self) -> None:
        """Note that older bars have been asked for; the reply is complete again after them."""
        self._is_answered = False
        self._n_unique_before_more = self._rows.n_unique()
        self.is_complete = False

    def result(self) -> FetchedBars:
        """Return the whole reply; raise `NoData` for one without bars, `BadBars` for bad ones."""
        if not self._rows.n_received:
            raise NoData(
                f"TradingView knows {self.key.full_symbol} and has no bars of it at {self.key.timeframe}. "
                "Choose another timeframe, or look whether the symbol is still traded."
            )
        rows, n_duplicates = self._rows.merged()
        return FetchedBars(
            table=make_table(rows[:, :6], has_volume=rows[:, 6] == 1.0),
            instrument=self.instrument,
            fetched_at=datetime.now(UTC).replace(microsecond=0),
            last_bar_final=self._is_last_bar_final(),
            is_limited=self.is_limited,
            n_duplicates=max(n_duplicates - self._n_updates, 0),
            doubts=self._doubts(rows),
        )

    def _doubts(self, rows: npt.NDArray[np.float64]) -> dict[str, int]:
        """Return what only looks odd; raise `WrongBars` or `BadBars` for what is certainly wrong."""
        times, timeframe, instrument = rows[:, 0], self.key.timeframe, self.instrument
        plausibility.check_seconds(times, timeframe)
        found = {
            "future": plausibility.check_clock(
                times, timeframe, feed_now=self._server_time, own_now=time.time()
            ),
            "spacing": plausibility.check_spacing(
                times, timeframe, instrument, close_time=self._bar_close_time
            ),
            "off_grid": plausibility.count_off_grid(times, timeframe, instrument, self.key.session),
            "zero_price": plausibility.count_zero_prices(rows[:, 1:5], instrument),
            "instrument": len(rows) if self._is_other_listing else 0,
            "completed_twice": len(rows) if self._is_completed_twice else 0,
        }
        return {code: number for code, number in found.items() if number}

    def _is_last_bar_final(self) -> bool | None:
        # `bar_close_time` is the bar's end, or one second before it at the end of a session,
        # and later by the delay on a delayed feed: in all cases past means finished.
        if self._bar_close_time is None:
            return None
        return self._bar_close_time < self._server_time

    # --- one method for each message --------------------------------------------------

    def _on_symbol_resolved(self, parameters: list[Any]) -> None:
        if len(parameters) > 2 and parameters[1] == SYMBOL_ID and isinstance(parameters[2], dict):
            self._take_instrument(parameters[2])

    def _take_instrument(self, facts: dict[str, Any]) -> None:
        if identity.is_doubtful(self.key.full_symbol, facts):
            self._is_other_listing = True
        before, self.instrument = self.instrument, read_instrument(facts)
        if before.pro_name and self.instrument.pro_name != before.pro_name:
            raise WrongBars(
                f"TradingView changed the instrument within one answer, from {before.pro_name} to "
                f"{self.instrument.pro_name or 'none'}, so that its bars may be of either."
            )
        if before.full_name and self.instrument.full_name != before.full_name:
            self._is_other_listing = True

    def _on_timescale_update(self, parameters: list[Any]) -> None:
        rows = self._read_rows(parameters)
        if rows is not None:
            self._rows.require_settled(rows)
            self._rows.add(rows)
        self.on_bars(self._rows.n_received)

    def _on_update(self, parameters: list[Any]) -> None:
        rows = self._read_rows(parameters)
        if rows is not None:
            self._rows.add(rows)
            self._n_updates += len(rows)

    def _read_rows(self, parameters: list[Any]) -> npt.NDArray[np.float64] | None:
        series = (
            parameters[1].get(SERIES_ID)
            if len(parameters) > 1 and isinstance(parameters[1], dict)
            else None
        )
        if not isinstance(series, dict) or not series.get("s"):
            return None
        rows = read_rows(series["s"])
        self._is_answered = True
        self._note_last_bar(float(rows[:, 0].max()), series.get("lbs"))
        return rows

    def _note_last_bar(self, newest: float, status: Any) -> None:
        """Keep when the newest bar of all closes; what comes with older bars says nothing of it."""
        if newest < self._newest:
            return
        close_time = status.get("bar_close_time") if isinstance(status, dict) else None
        if isinstance(close_time, int | float):
            self._bar_close_time = close_time
        elif newest > self._newest:
            # Of this one nothing is known; the bar before it is another.
            self._bar_close_time = None
        self._newest = newest

    def _on_series_completed(self, parameters: list[Any]) -> None:
        if len(parameters) < 2 or parameters[1] != SERIES_ID:
            return
        details = parameters[4] if len(parameters) > 4 else None
        if isinstance(details, dict) and details.get("data_completed") == "limit":
            self.is_limited = True
        if self.is_complete:
            self._is_completed_twice = True
        elif not self._is_answered:
            self._take_unannounced()
        self.is_complete = True
        self._rows.settle()

    def _take_unannounced(self) -> None:
        """Take an end that nothing announced for a repetition of the one before, and ask once more.

        Answers begin with `series_loading`. A feed that leaves it out twice is believed.
        """
        self._n_unannounced += 1
        self._is_completed_twice = self._n_unannounced == 1
        if self._is_completed_twice:
            self._n_unique_before_more = -1

    def _on_symbol_error(self, parameters: list[Any]) -> None:
        raise refusals.symbol_error(parameters, self.key.full_symbol)

    def _on_series_error(self, parameters: list[Any]) -> None:
        if len(parameters) > 1 and parameters[1] == SERIES_ID:
            raise refusals.series_error(parameters, self.key.full_symbol, self.key.timeframe)

    def _on_critical_error(self, parameters: list[Any]) -> None:
        raise refusals.critical_error(parameters)

    def _on_series_loading(self, parameters: list[Any]) -> None:
        if len(parameters) > 1 and parameters[1] == SERIES_ID:
            self._is_answered = True

    _HANDLERS: dict[str, Callable[[Conversation, list[Any]], None]] = {
        "series_loading": _on_series_loading,
        "symbol_resolved": _on_symbol_resolved,
        "timescale_update": _on_timescale_update,
        "du": _on_update,
        "series_completed": _on_series_completed,
        "symbol_error": _on_symbol_error,
        "series_error": _on_series_error,
        "critical_error": _on_critical_error,
    }
