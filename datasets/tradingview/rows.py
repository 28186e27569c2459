"""The rows of one reply: parsed from the messages, collected, sorted."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.bars import NO_VALUE, check_numbers
from datasets.errors import BadBars, BarsChanged

Rows = npt.NDArray[np.float64]

# About 5 MB of rows.
_ROWS_TO_SPARE = 100_000
# The newest two bars may still change: one is forming, and late trades reach the bar before it.
_N_UNSETTLED = 2


def read_rows(bars: Any) -> Rows:
    """Parse the bars of one message.

    Parameters
    ----------
    bars
        The list `s` of a series. The list `v` of each bar holds 5 numbers if the exchange
        gives no volume, 6 with volume, and 7 with open interest.

    Returns
    -------
    numpy.ndarray
        Shape (n, 7), float64: time in UNIX seconds (UTC), open, high, low, close, volume, and
        1.0 where the bar has a volume.

    Raises
    ------
    BadBars
        A bar has another form, or its numbers cannot be prices.
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
    # The check belongs here: the error can still show the message that holds the bad bar.
    check_numbers(rows, has_volume=has_volume)
    return rows


def _to_numbers(values: list[list[Any]]) -> Rows:
    if not set(map(type, chain.from_iterable(values))) <= {float, int}:
        # A volume of null means "no value". Null, text or a boolean in any other place is an error.
        values = [
            [*value[:5], *(NO_VALUE if number is None else number for number in value[5:])]
            for value in values
        ]
        if any(type(number) not in (int, float) for value in values for number in value):
            raise BadBars("A bar has a price or a time that is not a number.")
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError as error:
        raise BadBars("A bar has a number that is too large for a price.") from error


class ReceivedRows:
    """Rows in the order of arrival, shape (n, 7); of two rows with one time, the later row counts.

    Parameters
    ----------
    n_wanted
        The number of bars requested. Of a much longer reply only the newest rows are kept.
    """

    def __init__(self, n_wanted: int) -> None:
        self.n_wanted = n_wanted
        self.n_received = 0
        self._n_dropped = 0
        self._batches: list[Rows] = []
        self._settled: Rows | None = None

    def add(self, rows: Rows) -> None:
        """Add the rows of one message."""
        self.n_received += len(rows)
        self._batches.append(rows)
        if sum(map(len, self._batches)) > 4 * self.n_wanted + _ROWS_TO_SPARE:
            # A faulty feed may send rows without end; this bounds their memory.
            merged, n_duplicates = self._sorted()
            self._batches = [merged[-self.n_wanted :]]
            self._n_dropped += n_duplicates

    def n_unique(self) -> int:
        """Return the number of different times."""
        if not self._batches:
            return 0
        return len(np.unique(np.concatenate([batch[:, 0] for batch in self._batches])))

    def merged(self) -> tuple[Rows, int]:
        """Return the newest `n_wanted` rows sorted by time, and the number of repeated rows."""
        rows, n_duplicates = self._sorted()
        return rows[-self.n_wanted :], self._n_dropped + n_duplicates

    def settle(self) -> None:
        """Mark the rows as a complete reply: later messages may add older bars or change the newest two."""
        if self._batches:
            self._settled = self._sorted()[0]

    def require_settled(self, rows: Rows) -> None:
        """Raise `BarsChanged` where `rows` differ from the rows of a complete reply."""
        settled = self._settled
        if settled is None or len(settled) <= _N_UNSETTLED:
            return
        known = settled[:, 0]
        # The oldest bar of a reply may cover only a part of its period; a later reply completes it.
        rows = rows[(rows[:, 0] > known[0]) & (rows[:, 0] < known[-_N_UNSETTLED])]
        places = np.searchsorted(known, rows[:, 0])
        differs = np.any(settled[places] != rows, axis=1)
        if differs.any():
            raise BarsChanged(
                f"In its reply with older bars, TradingView changed {int(differs.sum()):,} newer bars that it had "
                "sent before. Some of these bars are wrong."
            )

    def _sorted(self) -> tuple[Rows, int]:
        rows = np.concatenate(self._batches)
        if np.all(np.diff(rows[:, 0]) > 0):
            return rows, 0
        # Reversed before a stable sort: of equal times, the row that arrived last comes first.
        order = np.argsort(rows[::-1, 0], kind="stable")
        rows = rows[::-1][order]
        is_first = np.append(True, np.diff(rows[:, 0]) != 0)
        return rows[is_first], len(rows) - int(is_first.sum())
