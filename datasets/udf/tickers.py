"""Tickers of the datafeed: `EXCHANGE:SYMBOL`, and its variants `|ext`, `|div` and `|none`."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self

from django.conf import settings

from datasets.bars import Adjustment, DatasetKey, Session, Timeframe
from datasets.bars.series_keys import SeriesKey
from datasets.errors import InvalidRequest, NotFound
from datasets.models import Series

# The library's spelling of each timeframe: it would read `1h` as one minute.
RESOLUTIONS = {each: str(each.minutes) if each.minutes else each.value for each in Timeframe}
_TIMEFRAMES = {text: each for each, text in RESOLUTIONS.items()} | {
    "D": Timeframe.DAY_1,
    "W": Timeframe.WEEK_1,
    "M": Timeframe.MONTH_1,
}
_VARIANTS: dict[str, dict[str, Any]] = {
    "ext": {"session": Session.EXTENDED},
    "div": {"adjustment": Adjustment.DIVIDENDS},
    "none": {"adjustment": Adjustment.NONE},
}
# The charting library compares this text.
UNKNOWN_SYMBOL = "unknown_symbol"


@dataclass(frozen=True, slots=True)
class Ticker:
    """An instrument with its session and its adjustment: a series without its timeframe."""

    exchange: str
    symbol: str
    session: Session = Session.REGULAR
    adjustment: Adjustment = Adjustment.SPLITS

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the ticker of a text; raise `NotFound` for a text that names no instrument.

        A symbol without its exchange is found when one stored instrument has that name.
        """
        name, *variants = text.strip().split("|")
        if len(set(variants)) < len(variants) or not set(variants) <= set(_VARIANTS):
            raise NotFound(UNKNOWN_SYMBOL)
        changes = {field: value for each in variants for field, value in _VARIANTS[each].items()}
        try:
            key = _key_of(settings.TV_SOURCE, name)
        except InvalidRequest:
            key = _stored_key(name)
        return cls(key.exchange, key.symbol, **changes)

    def __str__(self) -> str:
        key = self.series_key(Timeframe.DAY_1)
        names = [key.full_symbol, "ext" if self.session is Session.EXTENDED else ""]
        names.append(
            {Adjustment.DIVIDENDS: "div", Adjustment.NONE: "none"}.get(self.adjustment, "")
        )
        return "|".join(filter(None, names))

    def series_key(self, timeframe: Timeframe) -> SeriesKey:
        """Return the key of the ticker's series of a timeframe."""
        return SeriesKey(
            settings.TV_SOURCE, self.exchange, self.symbol, timeframe, self.session, self.adjustment
        )


@lru_cache(maxsize=4096)
def _key_of(source: str, name: str) -> DatasetKey:
    return DatasetKey.parse(source=source, symbol=name)


def _stored_key(name: str) -> DatasetKey:
    try:
        DatasetKey.parse(source=settings.TV_SOURCE, symbol=name, exchange="X")
    except InvalidRequest:
        raise NotFound(UNKNOWN_SYMBOL) from None
    rows = Series.objects.filter(source=settings.TV_SOURCE, symbol=name.upper())
    exchanges = set(rows.values_list("exchange", flat=True)[:100])
    if len(exchanges) != 1:
        raise NotFound(UNKNOWN_SYMBOL)
    return DatasetKey.parse(source=settings.TV_SOURCE, symbol=name, exchange=exchanges.pop())


def timeframe_of(resolution: str) -> Timeframe:
    """Return the timeframe of a resolution; raise `InvalidRequest` that lists the known ones."""
    found = _TIMEFRAMES.get(resolution)
    if found is None:
        known = ", ".join(RESOLUTIONS.values())
        raise InvalidRequest({"resolution": [f"{resolution!r} is not served; use one of {known}."]})
    return found
