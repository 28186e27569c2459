"""Interface of the instruments that the feed serves, and the synthetic ones."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from samplefeed.bars import Bars, Request, make_bars
from samplefeed.changes import Change, changed_facts, changed_rows, placeholder_at
from samplefeed.facts import quote_facts, resolved_facts
from samplefeed.instruments import Instrument
from samplefeed.synthetic import CLOSE, TIME
from samplefeed.timeframes import Timeframe

_SECONDS = {"minute": 60, "D": 86_400, "W": 604_800, "M": 2_419_200}


class Listing(Protocol):
    """An instrument as a chart socket uses it: synthetic or recorded."""

    @property
    def full_symbol(self) -> str:
        """Return `EXCHANGE:SYMBOL`."""

    @property
    def delay(self) -> int:
        """Return the delay of the feed in seconds."""

    @property
    def denied_group(self) -> str:
        """Return the group whose subscription is missing, or ""."""

    @property
    def cache_key(self) -> Hashable:
        """Return the key of the listing's bars in caches; equal keys mean equal bars."""

    def supports(self, timeframe: Timeframe) -> bool:
        """Return whether the listing has bars of this timeframe."""

    def resolved(self, session: str) -> dict[str, Any]:
        """Return the facts of `symbol_resolved`."""

    def quote(self, now: float) -> dict[str, Any]:
        """Return the values of `qsd`."""

    def bars(self, request: Request) -> Bars:
        """Return the bars of one request."""


class SyntheticListing:
    """An instrument of the catalogue."""

    def __init__(self, instrument: Instrument) -> None:
        self.instrument = instrument
        self.full_symbol = instrument.full_symbol
        self.delay = instrument.delay
        self.denied_group = instrument.denied_group
        self.cache_key: Hashable = instrument.full_symbol

    def supports(self, timeframe: Timeframe) -> bool:
        """Return whether the listing has bars of this timeframe."""
        return not (self.instrument.is_daily_only and timeframe.is_intraday)

    def resolved(self, session: str) -> dict[str, Any]:
        """Return the facts of `symbol_resolved`."""
        return resolved_facts(self.instrument, session)

    def quote(self, now: float) -> dict[str, Any]:
        """Return the values of `qsd`."""
        today = make_bars(self.instrument, Request(Timeframe("D", 1), 1, now)).as_lists()
        if not today:
            return quote_facts(self.instrument, self.instrument.base_price, None)
        volume = today[0][5] if self.instrument.has_volume else None
        return quote_facts(self.instrument, today[0][4], volume)

    def bars(self, request: Request) -> Bars:
        """Return the bars of one request."""
        return make_bars(self.instrument, request)


class ChangedListing:
    """An instrument whose history has changes, as the feed shows it at the instant `now`."""

    def __init__(self, listing: SyntheticListing, changes: Sequence[Change], now: float) -> None:
        self._listing = listing
        self._changes = changes
        self._now = now
        self.full_symbol = listing.full_symbol
        self.delay = int(self.resolved("regular").get("delay", 0))
        self.denied_group = listing.denied_group
        self.cache_key: Hashable = (listing.full_symbol, tuple(changes), now)

    def supports(self, timeframe: Timeframe) -> bool:
        """Return whether the listing has bars of this timeframe."""
        return self._listing.supports(timeframe)

    def resolved(self, session: str) -> dict[str, Any]:
        """Return the facts of `symbol_resolved`."""
        return changed_facts(self._listing.resolved(session), self._changes, self._now)

    def quote(self, now: float) -> dict[str, Any]:
        """Return the values of `qsd`."""
        return self._listing.quote(now)

    def bars(self, request: Request) -> Bars:
        """Return the bars of one request."""
        bars = self._listing.bars(request)
        instrument = self._listing.instrument
        rows = changed_rows(bars.rows, self._changes, instrument, self._now, request.adjustment)
        bars = replace(bars, rows=rows)
        opening = placeholder_at(self._changes, self._now)
        if opening is None or request.before is not None or not len(rows):
            return bars
        return _with_placeholder(bars, opening, request)


def _with_placeholder(bars: Bars, opening: float, request: Request) -> Bars:
    """Return the bars with a newest one that has the last price and no volume."""
    if bars.rows[-1, TIME] >= opening:
        return bars
    price = bars.rows[-1, CLOSE]
    added = [opening, price, price, price, price, 0.0][: bars.rows.shape[1]]
    length = _SECONDS[request.timeframe.unit] * request.timeframe.count
    return replace(
        bars,
        rows=np.vstack([bars.rows, added])[-request.n_bars :],
        mark_times=np.append(bars.mark_times, int(opening))[-request.n_bars :],
        close_at=int(opening) + length,
        is_forming=True,
    )
