"""One request for bars and its reply, frame by frame; what is not ours is passed over."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.bars import NO_VALUE, DatasetKey, FetchedBars, Instrument, check_numbers, make_table
from datasets.errors import BadBars, NoData
from datasets.tradingview import refusals
from datasets.tradingview.frames import printable

# As tvDatafeed's `get_hist` names them.
SERIES_ID = "s1"
SYMBOL_ID = "symbol_1"
# What every reader of JSON takes for a whole number.
_LARGEST_WHOLE = 2**53
# About 5 MB of them.
_ROWS_TO_SPARE = 100_000


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
        # Rows in the order of arrival: where a time comes twice, the later one stands.
        self._batches: list[npt.NDArray[np.float64]] = []
        self._n_rows = 0
        self._n_updates = 0
        self._n_merged = 0
        self._n_unique_before_more = -1
        self._newest = -math.inf
        self._bar_close_time: float | None = None
        self._server_time = time.time()

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
        n_unique = self._n_unique()
        missing = self.key.n_bars - n_unique
        brought_nothing = self._n_unique_before_more == n_unique
        if missing <= 0 or self.is_limited or brought_nothing or not n_unique:
            return 0
        return missing

    def ask_for_more(self) -> None:
        """Note that older bars have been asked for; the reply is complete again after them."""
        self._n_unique_before_more = self._n_unique()
        self.is_complete = False

    def result(self) -> FetchedBars:
        """Return the whole reply; raise `NoData` for one without bars, `BadBars` for bad ones."""
        if not self._n_rows:
            raise NoData(
                f"TradingView knows {self.key.full_symbol} and has no bars of it at {self.key.timeframe}. "
                "Choose another timeframe, or look whether the symbol is still traded."
            )
        rows, n_duplicates = self._merged()
        rows = rows[-self.key.n_bars :]
        n_duplicates += self._n_merged
        return FetchedBars(
            table=make_table(rows[:, :6], has_volume=rows[:, 6] == 1.0),
            instrument=self.instrument,
            fetched_at=datetime.now(UTC).replace(microsecond=0),
            last_bar_final=self._is_last_bar_final(),
            is_limited=self.is_limited,
            n_duplicates=max(n_duplicates - self._n_updates, 0),
        )

    def _is_last_bar_final(self) -> bool | None:
        # `bar_close_time` is the bar's end, or one second before it at the end of a session,
        # and later by the delay on a delayed feed: in all cases past means finished.
        if self._bar_close_time is None:
            return None
        return self._bar_close_time < self._server_time

    def _n_unique(self) -> int:
        if not self._batches:
            return 0
        return len(np.unique(np.concatenate([batch[:, 0] for batch in self._batches])))

    def _merged(self) -> tuple[npt.NDArray[np.float64], int]:
        rows = np.concatenate(self._batches)
        times = rows[:, 0]
        if np.all(np.diff(times) > 0):
            return rows, 0
        # Reversed and stable, so that the first of equal times is the one that came last.
        order = np.argsort(times[::-1], kind="stable")
        rows = rows[::-1][order]
        is_first = np.append(True, np.diff(rows[:, 0]) != 0)
        return rows[is_first], len(rows) - int(is_first.sum())

    def _bound_memory(self) -> None:
        """Merge what has come, once that is far more than can be wanted: a feed may never end."""
        if sum(map(len, self._batches)) > 4 * self.key.n_bars + _ROWS_TO_SPARE:
            rows, n_merged = self._merged()
            self._batches = [rows[-self.key.n_bars :]]
            self._n_merged += n_merged

    # --- one method for each message --------------------------------------------------

    def _on_symbol_resolved(self, parameters: list[Any]) -> None:
        if len(parameters) > 2 and parameters[1] == SYMBOL_ID and isinstance(parameters[2], dict):
            self.instrument = read_instrument(parameters[2])

    def _on_timescale_update(self, parameters: list[Any]) -> None:
        self._n_rows += self._take_rows(parameters)
        self.on_bars(self._n_rows)

    def _on_update(self, parameters: list[Any]) -> None:
        n_rows = self._take_rows(parameters)
        self._n_rows += n_rows
        self._n_updates += n_rows

    def _take_rows(self, parameters: list[Any]) -> int:
        series = (
            parameters[1].get(SERIES_ID)
            if len(parameters) > 1 and isinstance(parameters[1], dict)
            else None
        )
        if not isinstance(series, dict):
            return 0
        bars = series.get("s")
        if not bars:
            return 0
        rows = read_rows(bars)
        self._batches.append(rows)
        self._bound_memory()
        self._note_last_bar(float(rows[:, 0].max()), series.get("lbs"))
        return len(rows)

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
        self.is_complete = True

    def _on_symbol_error(self, parameters: list[Any]) -> None:
        raise refusals.symbol_error(parameters, self.key.full_symbol)

    def _on_series_error(self, parameters: list[Any]) -> None:
        if len(parameters) > 1 and parameters[1] == SERIES_ID:
            raise refusals.series_error(parameters, self.key.full_symbol, self.key.timeframe)

    def _on_critical_error(self, parameters: list[Any]) -> None:
        raise refusals.critical_error(parameters)

    def _on_series_loading(self, parameters: list[Any]) -> None:
        """Nothing to keep; it is news that the feed works on it."""

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


def read_rows(bars: Any) -> npt.NDArray[np.float64]:
    """Return an array of shape (n, 7) from a series' `s`: time, prices, volume, has volume.

    A bar has 5 numbers where the exchange gives no volume, 6 with it, 7 with open interest.
    Raises `BadBars` when a bar is none of these.
    """
    try:
        values = [bar["v"] for bar in bars]
    except (TypeError, KeyError) as error:
        raise BadBars("A bar came without its numbers.") from error
    if not set(map(type, values)) <= {list}:
        raise BadBars("A bar came without its numbers.")
    lengths = set(map(len, values))
    if not lengths <= {5, 6, 7}:
        raise BadBars(f"A bar has {sorted(lengths - {5, 6, 7})[0]} numbers; 5 to 7 are known.")
    if len(lengths) > 1 or lengths == {7}:
        values = [[*value[:6], NO_VALUE][:6] for value in values]
    rows = np.full((len(values), 7), NO_VALUE)
    rows[:, : min(len(values[0]), 6)] = _to_numbers(values)
    has_volume = rows[:, 5] != NO_VALUE
    rows[:, 6] = has_volume
    # Here and not at the end, while the message that holds the bad bar is at hand.
    check_numbers(rows, has_volume=has_volume)
    return rows


def _to_numbers(values: list[list[Any]]) -> npt.NDArray[np.float64]:
    if not set(map(type, chain.from_iterable(values))) <= {float, int}:
        # A null volume is "no value"; a null, a text or a truth value anywhere else is no bar.
        values = [
            [*value[:5], *(NO_VALUE if number is None else number for number in value[5:])]
            for value in values
        ]
        if any(type(number) not in (int, float) for value in values for number in value):
            raise BadBars("A bar has a price or a time that is no number.")
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError as error:
        raise BadBars("A bar has a number that is too large to be one.") from error


def read_instrument(facts: dict[str, Any]) -> Instrument:
    """Return what `symbol_resolved` says; a field of an unexpected type counts as absent."""

    def text(name: str) -> str:
        value = facts.get(name)
        return printable(value) if isinstance(value, str) else ""

    def whole(name: str) -> int | None:
        value = facts.get(name)
        return value if isinstance(value, int) and abs(value) <= _LARGEST_WHOLE else None

    return Instrument(
        pro_name=text("pro_name"),
        full_name=text("full_name"),
        description=text("description"),
        type=text("type"),
        currency=text("currency_code"),
        timezone=text("timezone"),
        session_hours=text("session"),
        pricescale=whole("pricescale"),
        minmov=whole("minmov"),
        delay_s=whole("delay") or 0,
        has_volume=facts.get("visible_plots_set", "ohlcv") != "ohlc",
    )
