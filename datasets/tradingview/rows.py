"""The rows of one reply, from their arrival to the sorted whole."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from datasets.errors import BarsChanged

Rows = npt.NDArray[np.float64]

# About 5 MB of them.
_ROWS_TO_SPARE = 100_000
# The newest bars may still change: one is forming, and late trades reach the one before it.
_N_UNSETTLED = 2


class ReceivedRows:
    """Rows in the order of arrival, shape (n, 7); where a time comes twice, the later row stands.

    Parameters
    ----------
    n_wanted
        How many are asked for; far more than that are not kept.
    """

    def __init__(self, n_wanted: int) -> None:
        self.n_wanted = n_wanted
        self.n_received = 0
        self._n_dropped = 0
        self._batches: list[Rows] = []
        self._settled: Rows | None = None

    def add(self, rows: Rows) -> None:
        """Take in the rows of one message."""
        self.n_received += len(rows)
        self._batches.append(rows)
        if sum(map(len, self._batches)) > 4 * self.n_wanted + _ROWS_TO_SPARE:
            # A feed may never end.
            self._merge()

    def n_unique(self) -> int:
        """Return how many bars there are, each time counted once."""
        if not self._batches:
            return 0
        return len(np.unique(np.concatenate([batch[:, 0] for batch in self._batches])))

    def merged(self) -> tuple[Rows, int]:
        """Return the wanted rows in order of time, and how many came more than once."""
        rows, n_duplicates = self._sorted()
        return rows[-self.n_wanted :], self._n_dropped + n_duplicates

    def settle(self) -> None:
        """Note that a reply is complete: what comes later may only be older, or about the newest."""
        if self._batches:
            self._settled = self._sorted()[0]

    def require_settled(self, rows: Rows) -> None:
        """Raise `BarsChanged` where `rows` differ from what a complete reply has said already."""
        settled = self._settled
        if settled is None or len(settled) <= _N_UNSETTLED:
            return
        known = settled[:, 0]
        # The oldest of a reply may be the cut half of a bar, which comes whole later.
        rows = rows[(rows[:, 0] > known[0]) & (rows[:, 0] < known[-_N_UNSETTLED])]
        places = np.searchsorted(known, rows[:, 0])
        differs = np.any(settled[places] != rows, axis=1)
        if differs.any():
            raise BarsChanged(
                f"TradingView was asked for older bars and changed {int(differs.sum()):,} newer ones that it had "
                "sent before, so that some are wrong."
            )

    def _merge(self) -> None:
        rows, n_duplicates = self._sorted()
        self._batches = [rows[-self.n_wanted :]]
        self._n_dropped += n_duplicates

    def _sorted(self) -> tuple[Rows, int]:
        rows = np.concatenate(self._batches)
        if np.all(np.diff(rows[:, 0]) > 0):
            return rows, 0
        # Reversed and stable, so that the first of equal times is the one that came last.
        order = np.argsort(rows[::-1, 0], kind="stable")
        rows = rows[::-1][order]
        is_first = np.append(True, np.diff(rows[:, 0]) != 0)
        return rows[is_first], len(rows) - int(is_first.sum())
