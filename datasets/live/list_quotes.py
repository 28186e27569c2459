"""Last prices of a watchlist's symbols, from the archives of its series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from datasets import watchlists
from datasets.bars import Timeframe
from datasets.calendars.gap_findings import to_instant
from datasets.errors import DatasetsError, InvalidRequest
from datasets.live.joined_bars import held_since
from datasets.models import Series, WatchedSymbol, Watchlist
from datasets.watchlists.freshness import Freshness


@dataclass(frozen=True, slots=True)
class Quote:
    """The newest held bar of a symbol, beside the bar before it.

    `time` is the opening of the newest bar, aware, UTC. It is None without bars, and so is `close`;
    `previous_close` also with a single bar. `freshness` is None for a symbol without a schedule.
    `problem` says why there is no price.
    """

    symbol: WatchedSymbol
    series: Series | None
    freshness: Freshness | None
    time: datetime | None = None
    close: float | None = None
    previous_close: float | None = None
    problem: str = ""

    @property
    def change(self) -> float | None:
        """The close less the close before it."""
        if self.close is None or self.previous_close is None:
            return None
        return self.close - self.previous_close

    @property
    def change_percent(self) -> float | None:
        """The change as a share of the close before it; None where that is 0."""
        if self.change is None or not self.previous_close:
            return None
        return 100 * self.change / abs(self.previous_close)


def quoted_timeframe(watchlist: Watchlist, wanted: str) -> str:
    """Return the timeframe of the quotes: `wanted`, else days, else the first of the list.

    Raises `InvalidRequest` for a timeframe that the list does not have.
    """
    found = watchlist.timeframes
    if not wanted:
        day = Timeframe.parse("1D").value
        return day if day in found else next(iter(found), day)
    timeframe = Timeframe.parse(wanted).value
    if timeframe not in found:
        labels = ", ".join(Timeframe(each).label for each in found)
        raise InvalidRequest({"timeframe": [f"The list has {labels}; use one of them."]})
    return timeframe


def quotes_of(
    watchlist: Watchlist, symbols: Sequence[WatchedSymbol], timeframe: str, now: datetime
) -> list[Quote]:
    """Return the quote of each of the symbols at one timeframe of the list, in order.

    An archive that cannot be read gives a quote without a price, and its problem.
    """
    schedules = {
        (each.exchange, each.symbol): each
        for each in watchlists.schedules_of(watchlist)
        .filter(timeframe=timeframe, symbol__in=[each.symbol for each in symbols])
        .select_related("series__schedule")
    }
    quotes = []
    for symbol in symbols:
        schedule = schedules.get((symbol.exchange, symbol.symbol))
        if schedule is None:
            quotes.append(Quote(symbol, None, None, problem=symbol.problem))
        else:
            fresh = watchlists.freshness_of(schedule, now)
            quotes.append(_quote(symbol, schedule.series, fresh))
    return quotes


def _quote(symbol: WatchedSymbol, series: Series | None, fresh: Freshness) -> Quote:
    if series is None:
        return Quote(symbol, None, fresh, problem=symbol.problem or fresh.reason)
    try:
        bars = held_since(series, None).bars
    except DatasetsError as error:
        return Quote(symbol, series, fresh, problem=str(error))
    if not bars:
        return Quote(symbol, series, fresh, problem=fresh.reason)
    before = bars[-2][4] if len(bars) > 1 else None
    return Quote(symbol, series, fresh, to_instant(bars[-1][0]), bars[-1][4], before)
