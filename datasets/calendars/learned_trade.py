"""Learned trade: how often each time of the day had a bar on the sessions around."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from datasets.bars import BarLength
from datasets.calendars.expected_bars import ExpectedBars
from datasets.calendars.zones import Booleans, Integers

_N_SESSIONS = 60
# A time of the day with a bar on at most this share of the sessions is a break of trade.
_BREAK_SHARE = 0.05
# With fewer sessions nothing is learned about breaks.
_FEWEST_SESSIONS = 10
# A series that misses more of the sessions around has days without trade.
_MOST_MISSED = 0.1


@dataclass(frozen=True, slots=True, eq=False)
class LearnedTrade:
    """The expected bars that are missing, by what the sessions around show.

    `missing_sessions` are sessions without a bar. `missing_bars` are positions of missing bars
    in other sessions, in order, and `log_chance` the logarithms of the probabilities that there
    was no trade. `break_bars` are positions of missing bars in learned breaks.
    """

    missing_sessions: Integers
    missing_bars: Integers
    log_chance: npt.NDArray[np.float64]
    break_bars: Integers

    @property
    def n_breaks(self) -> int:
        """Missing bars in learned breaks."""
        return len(self.break_bars)


def learn_trade(expected: ExpectedBars, held: Booleans, length: BarLength) -> LearnedTrade:
    """Compare each missing bar with the same time of the day on the last 60 sessions.

    For the first sessions the 60 after them count. Sessions without a bar count for none.
    """
    n_sessions = len(expected.dates)
    n_held = np.bincount(expected.sessions[held], minlength=n_sessions)
    is_missing = n_held == 0
    nothing = np.empty(0, dtype=np.int64)
    missing_sessions = np.flatnonzero(is_missing)
    if held.all() or length.minutes is None:
        return LearnedTrade(missing_sessions, nothing, np.empty(0), nothing)
    usable = np.arange(len(held))
    if is_missing.any():
        usable = np.flatnonzero(~is_missing[expected.sessions])
    slots = expected.slots[usable]
    order = np.argsort(slots, kind="stable")
    slots, is_held = slots[order], held[usable][order]
    missing = np.flatnonzero(~is_held)
    n_before = np.append(0, np.cumsum(is_held, dtype=np.int32))
    group_ends = np.cumsum(np.bincount(slots))
    group_end = group_ends[slots[missing]]
    group = np.append(0, group_ends)[slots[missing]]
    # The window never holds the missing bar itself, or counts it as one without trade.
    is_early = missing - group < _N_SESSIONS
    begin = np.where(is_early, group, missing - _N_SESSIONS)
    end = np.where(is_early, np.minimum(group_end, group + _N_SESSIONS + 1), missing)
    n_seen = end - begin - is_early
    n_trade = n_before[end] - n_before[begin]
    is_break = (n_seen >= _FEWEST_SESSIONS) & (n_trade <= _BREAK_SHARE * n_seen)
    places = usable[order[missing]]
    in_order = np.argsort(places)
    places, is_break = places[in_order], is_break[in_order]
    log_chance = _log_chance(n_seen[in_order], n_trade[in_order], length.minutes)
    return LearnedTrade(
        missing_sessions, places[~is_break], log_chance[~is_break], places[is_break]
    )


def _log_chance(n_seen: Integers, n_trade: Integers, minutes: int) -> npt.NDArray[np.float64]:
    """Return the logarithm of the probability that a bar has no trade.

    Where all sessions had trade, their number bounds the probability for one minute; a longer
    bar without trade is a row of such minutes.
    """
    empty = np.where(n_seen > 0, 1 - n_trade / np.maximum(n_seen, 1), 1.0)
    always = minutes * np.log(0.5 / (n_seen + 1))
    return np.where(empty > 0, np.log(np.maximum(empty, 1e-300)), always)


def is_skipped_often(sessions: Integers, n_sessions: int) -> Booleans:
    """Return which missing sessions are among many that the series misses anyway.

    `sessions` are positions in order. An instrument without trade on more than a tenth of the
    days around misses single sessions by chance; ten and more in a row it does not.
    """
    run = np.cumsum(np.diff(sessions, prepend=-2) != 1)
    is_short = np.bincount(run)[run] < _FEWEST_SESSIONS if len(run) else run > 0
    single = sessions[is_short]
    begin = np.maximum(sessions - _N_SESSIONS, 0)
    end = np.minimum(begin + 2 * _N_SESSIONS, n_sessions)
    n_missed = np.searchsorted(single, end) - np.searchsorted(single, begin)
    often: Booleans = is_short & (n_missed > _MOST_MISSED * (end - begin))
    return often
