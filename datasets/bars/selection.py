"""Which dataset of a series answers: the newest that holds enough bars. One rule for rows, files and locks."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import NamedTuple, TypeVar

# The rule as Django orders rows; `-` is descending. `in_order` says the same for anything else.
ORDER = ("-fetched_at", "n_bars")
# The bars of a request that names no number.
DEFAULT_N_BARS = 5000

Found = TypeVar("Found")


class Candidate(NamedTuple):
    """A dataset's bars asked and held, and when it was fetched."""

    n_bars: int
    n_rows: int
    fetched_at: datetime


def in_order(
    found: Iterable[Found], n_bars: int, describe: Callable[[Found], Candidate]
) -> list[Found]:
    """Return those of one series that hold the newest `n_bars` bars, the one that answers first.

    With `n_bars` 0 these are the ones with at least `DEFAULT_N_BARS` bars asked, and the ones that
    hold as many bars as any.
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
