"""Selection of the dataset that answers for a series: the newest with enough bars.

One rule for rows, files and lock files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple, TypeVar

# The order for Django's `order_by`; `-` is descending. `in_order` sorts other objects equally.
ORDER = ("-fetched_at", "n_bars")
# Number of bars for a request without a number.
DEFAULT_N_BARS = 5000

Found = TypeVar("Found")


class Candidate(NamedTuple):
    """The facts of a dataset by which it is selected: bars asked, bars held, time of its fetch."""

    n_bars: int
    n_rows: int
    fetched_at: datetime


def in_order(
    found: Iterable[Found], n_bars: int, describe: Callable[[Found], Candidate]
) -> list[Found]:
    """Return the datasets of one series that hold the newest `n_bars` bars, best first.

    With `n_bars` 0 these are the datasets with at least `DEFAULT_N_BARS` bars asked, and the
    datasets with the largest number of bars held.
    """
    described = [(describe(each), each) for each in found]
    most = max((candidate.n_rows for candidate, _ in described), default=0)
    wanted = n_bars or DEFAULT_N_BARS
    enough = [
        pair
        for pair in described
        if pair[0].n_bars >= wanted or (not n_bars and pair[0].n_rows == most)
    ]
    enough.sort(key=lambda pair: pair[0].n_bars)
    enough.sort(key=lambda pair: pair[0].fetched_at, reverse=True)
    return [each for _, each in enough]
