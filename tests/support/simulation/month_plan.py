"""A month of 300 series over six exchanges: two clock changes, holidays, an outage and refusals."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from operator import itemgetter

from datasets.bars import DatasetKey
from samplefeed.instruments import all_instruments
from tests.support.simulation.refresh_plan import instant

# The clocks of New York change on 2026-03-08, those of London and Frankfurt on 2026-03-29.
# Exchanges close on 2026-03-20 (Tokyo), 2026-04-03 (New York, London, Frankfurt) and 2026-04-06.
START = instant(date(2026, 3, 6), 5)
N_DAYS = 32
EXCHANGES = ("NASDAQ", "NYSE", "NSE", "TSE", "LSE", "LOAD")


@dataclass(frozen=True)
class ListPlan:
    """One watchlist."""

    name: str
    timeframe: str
    symbols: tuple[str, ...]
    adjustment: str = "splits"


@dataclass(frozen=True)
class MonthPlan:
    """Watchlists, clicks of people, and all that goes wrong."""

    start: datetime
    end: datetime
    lists: tuple[ListPlan, ...]
    clicks: tuple[tuple[datetime, DatasetKey], ...]
    # No worker runs from the first instant to the second.
    outage: tuple[datetime, datetime]
    refusals: tuple[datetime, ...]


def month_plan(n_days: int = N_DAYS, *, every: int = 1, n_invented: int = 47) -> MonthPlan:
    """Return the plan of the first `n_days` days, with every n-th stock."""
    stocks = [
        name
        for exchange in EXCHANGES[:5]
        for name, each in all_instruments().items()
        if each.exchange == exchange and each.is_stock
    ][::every]
    invented = tuple(f"LOAD:S{number}" for number in range(n_invented))
    lists = (
        ListPlan("days", "1D", (*stocks, *invented)),
        ListPlan("days with dividends", "1D", tuple(stocks[::2]), "dividends"),
        ListPlan("weeks", "1W", (*stocks, *invented)),
        ListPlan("weeks as traded", "1W", tuple(stocks[::2]), "none"),
        ListPlan("four hours", "4h", tuple(stocks[::12])),
        ListPlan("hours", "1h", tuple(stocks[:2])),
    )
    end = START + timedelta(days=n_days)
    middle = START.replace(hour=0) + timedelta(days=n_days // 2)
    outage = (middle, middle + timedelta(days=1))
    clicks = tuple(
        (at, _clicked(day, number))
        for day in range(n_days)
        for number, hour in enumerate((3.4, 10.1, 15.9))
        for at in [START + timedelta(days=day, hours=hour, seconds=day * 37)]
        if not outage[0] <= at < outage[1]
    )
    # While the first windows of all series are fetched, and all calls are in use.
    at_first = tuple(
        (START + timedelta(seconds=wait), _clicked(n_days, wait)) for wait in (6, 13, 20, 29)
    )
    refusals = tuple(START + timedelta(days=day, hours=15.6) for day in range(3, n_days, 9))
    return MonthPlan(
        START,
        end,
        lists,
        tuple(sorted((*clicks, *at_first), key=itemgetter(0))),
        outage,
        refusals,
    )


def _clicked(day: int, number: int) -> DatasetKey:
    return DatasetKey.parse(
        source="sample", exchange="LOAD", symbol=f"CLICK{day}X{number}", timeframe="1h", n_bars=300
    )
