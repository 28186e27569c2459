"""Bars of an archive with the live bars after them, where both surely belong together."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime

from datasets.archive.series_rows import folder_of
from datasets.bars import BAR_COLUMNS
from datasets.calendars.gap_findings import to_ms
from datasets.lru_cache import LruCache
from datasets.models import LiveSeries, Series
from datasets.storage.archives.known_bars import read_known

# The most bars of one reply, the newest ones.
MOST_BARS = 1000
# Bars of a reply to a request without `since`.
_N_NEWEST = 2

# Opening in UNIX milliseconds, open, high, low, close, volume; None where there is no volume.
Bar = tuple[int, float, float, float, float, float | None]


@dataclass(frozen=True, slots=True)
class HeldBars:
    """Bars of the archive, oldest first; `is_last_final` is the archive's word on the newest bar of all."""

    bars: tuple[Bar, ...]
    is_last_final: bool


@dataclass(frozen=True, slots=True)
class JoinedBars:
    """Bars of the archive and live bars after them, oldest first.

    `unconfirmed_ms` is the opening of the first bar that only live updates have brought, None
    without one. `is_joined` is False where live bars exist that cannot stand beside the
    archive's: bars between the two are missing, or their prices have another basis.
    """

    bars: tuple[Bar, ...]
    unconfirmed_ms: int | None
    is_joined: bool


# By series, state of its archive, last fetch, and `since`.
_held: LruCache[tuple[int, int, datetime, datetime | None], HeldBars] = LruCache(2048)


def held_since(series: Series, since: datetime | None) -> HeldBars:
    """Return the archive's bars that open at or after `since`; without it the newest two.

    Raises the errors of `read_range`.
    """
    key = (series.pk, series.sequence, series.fetched_at, since)
    found = _held.find(key)
    if found is None:
        known = read_known(
            folder_of(series.series_key), since, n_bars=MOST_BARS if since else _N_NEWEST
        )
        rows = known.rows.select(BAR_COLUMNS).to_pylist()
        bars = tuple(
            (to_ms(row["time"]), row["open"], row["high"], row["low"], row["close"], row["volume"])
            for row in rows
        )
        found = HeldBars(bars, series.last_bar_final)
        if known.document.sequence == series.sequence:
            # Otherwise a worker has merged bars since the row was read.
            _held.keep(key, found)
    return found


def join(
    held: HeldBars, live: LiveSeries | None, series: Series, since: datetime | None
) -> JoinedBars:
    """Return the archive's bars, and the live bars from its last, unfinished bar on.

    A live bar replaces a bar of the archive only where that one was forming and is older news.
    """
    rows = [] if live is None else [(round(bar[0] * 1000), *bar[1:]) for bar in live.bars]
    if live is None or live.heard_at is None or not rows:
        return JoinedBars(held.bars, None, is_joined=True)
    last_ms = to_ms(series.last_time)
    news: list[Bar] = [bar for bar in rows if bar[0] > last_ms]
    overlap = [bar for bar in rows if bar[0] <= last_ms]
    if news and not (overlap and _is_same_basis(held, overlap)):
        return JoinedBars(held.bars, None, is_joined=False)
    is_newer = live.heard_at > series.fetched_at
    if overlap and overlap[-1][0] == last_ms and not held.is_last_final and is_newer:
        news.insert(0, overlap[-1])
    wanted = [bar for bar in news if since is None or bar[0] >= to_ms(since)]
    if not wanted:
        return JoinedBars(held.bars, None, is_joined=True)
    kept = [bar for bar in held.bars if bar[0] < wanted[0][0]]
    bars = (*kept, *wanted)[-(MOST_BARS if since else _N_NEWEST) :]
    return JoinedBars(bars, wanted[0][0], is_joined=True)


def _is_same_basis(held: HeldBars, overlap: list[Bar]) -> bool:
    """Return whether a bar that both have agrees; after a split or a dividend none does.

    True where the reply holds none of these bars: then nothing of the archive stands beside them.
    """
    closes = {bar[0]: bar[4] for bar in held.bars[: None if held.is_last_final else -1]}
    common = [bar for bar in overlap if bar[0] in closes]
    return not common or any(math.isclose(closes[bar[0]], bar[4], rel_tol=1e-9) for bar in common)
