"""The second opinion: sessions of `exchange_calendars`, for equities."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from datasets.calendars.zones import Integers

# TradingView's exchange, and the market's code in ISO 10383, which is the library's own name of
# the calendar. Not its aliases: its `ICE` is a market of futures. An exchange whose instruments
# are listed in several countries (EURONEXT), and markets that the library does not have (HOSE)
# or cannot build in this version (TASE), have no second opinion.
MARKETS = {
    "NASDAQ": "XNYS", "NYSE": "XNYS", "AMEX": "XNYS", "BATS": "XNYS", "CBOE": "XNYS", "OTC": "XNYS",
    "LSE": "XLON", "LSIN": "XLON", "XETR": "XETR", "FWB": "XFRA", "MIL": "XMIL", "BME": "XMAD",
    "SIX": "XSWX", "OMXSTO": "XSTO", "OMXHEX": "XHEL", "OMXCOP": "XCSE", "OMXICE": "XICE",
    "GPW": "XWAR", "BIST": "XIST", "JSE": "XJSE", "TADAWUL": "XSAU", "NSE": "XBOM",
    "BSE": "XBOM", "TSE": "XTKS", "HKEX": "XHKG", "SSE": "XSHG", "SZSE": "XSHG", "TWSE": "XTAI",
    "TPEX": "XTAI", "KRX": "XKRX", "ASX": "XASX", "NZX": "XNZE", "SGX": "XSES", "SET": "XBKK",
    "MYX": "XKLS", "IDX": "XIDX", "PSE": "XPHS", "TSX": "XTSE", "TSXV": "XTSE", "NEO": "XTSE",
    "BMV": "XMEX", "BMFBOVESPA": "BVMF", "BCBA": "XBUE",
}  # fmt: skip
# Types of TradingView that trade in the exchange's hours for equities.
_EQUITIES = frozenset({"stock", "fund", "dr", "right", "warrant", "structured", ""})


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """Sessions by a library: trading dates in days since 1970-01-01, openings and closes in UNIX ms.

    `first_date` and `last_date` are the range that the library answers for.
    """

    name: str
    dates: Integers
    opens: Integers
    closes: Integers
    first_date: int
    last_date: int

    def session_of(self, date: int) -> tuple[int, int] | None:
        """Return opening and close on a date; None where the market was closed."""
        place = int(np.searchsorted(self.dates, date))
        if place < len(self.dates) and self.dates[place] == date:
            return int(self.opens[place]), int(self.closes[place])
        return None


def find_market(exchange: str, kind: str = "") -> str | None:
    """Return the code of the market that gives a second opinion; None where there is none.

    `kind` is TradingView's type of the instrument. Futures, currencies and crypto have the
    feed's calendar only.
    """
    return MARKETS.get(exchange) if kind in _EQUITIES else None


# Years from which on a market's sessions are built; few of them, so that series share a table.
_FIRST_YEARS = (1960, 1980, 1992, 2000)


def second_opinion(market: str, first_year: int) -> Opinion | None:
    """Return the sessions of a market from a year on, where the library reaches so far back.

    They end about a year ahead. Returns None where the library cannot build the market's
    calendar. The first call for a market takes up to a second.
    """
    reached = [year for year in _FIRST_YEARS if year <= first_year]
    return _sessions_of(market, reached[-1] if reached else _FIRST_YEARS[0])


@lru_cache(maxsize=64)
def _sessions_of(market: str, first_year: int) -> Opinion | None:
    # Not at the top: the import takes most of a second, and few processes need it.
    import exchange_calendars

    with warnings.catch_warnings():
        # The library has not followed pandas' newest names yet.
        warnings.simplefilter("ignore")
        try:
            schedule = exchange_calendars.get_calendar(market, start=f"{first_year}-01-01").schedule
        except ValueError:
            # The library's holidays do not reach so far back; by default it takes 20 years.
            later = [year for year in _FIRST_YEARS if year > first_year]
            if later:
                return _sessions_of(market, later[0])
            try:
                schedule = exchange_calendars.get_calendar(market).schedule
            except ValueError:
                # A fetch must not fail by a fault in the library's table of holidays.
                return None
        dates = schedule.index.to_numpy().astype("M8[D]").astype(np.int64)
        opens, closes = (
            schedule[name].dt.tz_convert(None).to_numpy().astype("M8[ms]").astype(np.int64)
            for name in ("open", "close")
        )
    return Opinion(market, dates, opens, closes, int(dates[0]), int(dates[-1]))
