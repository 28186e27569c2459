"""The instruments of the feed and their facts: prices, hours, history, volume."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date
from functools import cache, lru_cache
from typing import Any

from samplefeed.catalogue import LISTINGS
from samplefeed.exchanges import EXCHANGES
from samplefeed.holidays import day_number
from samplefeed.hours import MARKETS, Market

_SYMBOL = r"[A-Z0-9_]+:[A-Z0-9.!_&]+"
_PART = re.compile(_SYMBOL)
_EXPRESSION = re.compile(rf"[-+*/()\d.]*{_SYMBOL}(?:[-+*/()\d.]|{_SYMBOL})*")
# Every symbol of these exchanges exists: LOAD for load tests, FAULT to request a fault by name.
_INVENTED = re.compile(r"(LOAD|FAULT):([A-Z0-9._-]{1,40})")
_CONTRACT = re.compile(r"([A-Z_]+:[A-Z]{1,3})[FGHJKMNQUVXZ](20\d\d)")


@dataclass(frozen=True)
class Instrument:
    """One instrument; its prices are whole ticks of `minimum_move / price_scale`."""

    exchange: str
    symbol: str
    description: str
    base_price: float
    start: str
    market: str
    kind: str
    display: str
    provider: str
    currency: str
    typespecs: tuple[str, ...] = ()
    source_name: str = ""
    country: str = ""
    feed: str = ""  # the exchange that gives the prices, if it is another one
    delay: int = 0
    price_scale: int = 100
    minimum_move: int = 1
    has_volume: bool = True
    volume_scale: int = 1
    volatility: float = 0.02  # of one day
    growth: float = 0.08  # of one year
    hole_rate: float = 0.0  # share of minutes without a trade
    is_daily_only: bool = False
    denied_group: str = ""
    splits: tuple[tuple[int, int], ...] = ()  # day and ratio
    legs: tuple[str, ...] = ()  # of an expression

    @property
    def full_symbol(self) -> str:
        """Return `EXCHANGE:SYMBOL`, or the whole expression."""
        return self.symbol if self.legs else f"{self.exchange}:{self.symbol}"

    @property
    def feed_symbol(self) -> str:
        """Return TradingView's `full_name`: the symbol at the feed that gives the prices."""
        return f"{self.feed}:{self.symbol}" if self.feed else self.full_symbol

    @property
    def hours(self) -> Market:
        """Return the trading hours."""
        return MARKETS[self.market]

    @property
    def first_day(self) -> int:
        """Return the first day of the history, as days since 1970-01-01."""
        return day_number(date.fromisoformat(self.start))

    @property
    def tick(self) -> float:
        """Return the smallest step of the price."""
        return self.minimum_move / self.price_scale

    @property
    def has_extended_hours(self) -> bool:
        """Return whether there is trade before and after the regular session."""
        return self.hours.premarket is not None

    @property
    def is_stock(self) -> bool:
        """Return whether dividends and splits change its prices."""
        return self.kind in {"stock", "fund", "dr"}


@cache
def all_instruments() -> dict[str, Instrument]:
    """Return the catalogue by full symbol."""
    found = {}
    for exchange, text in LISTINGS.items():
        for line in text.strip().splitlines():
            symbol, description, price, *rest = line.split("|")
            start, overrides = (*rest, "", "")[:2]
            instrument = _make(exchange, symbol, description, price, start, overrides)
            found[instrument.full_symbol] = instrument
    return found


@lru_cache(maxsize=4096)
def find_instrument(full_symbol: str) -> Instrument | None:
    """Return the instrument, or None for a symbol that TradingView would call invalid."""
    known = all_instruments().get(full_symbol)
    if known is not None:
        return known
    if invented := _INVENTED.fullmatch(full_symbol):
        return _make(invented[1], invented[2], f"{invented[2]} of {invented[1]}", "100", "", "")
    if contract := _CONTRACT.fullmatch(full_symbol):
        # A single contract of a future; the catalogue lists the continuous one.
        front = all_instruments().get(f"{contract[1]}1!")
        symbol, start = full_symbol.partition(":")[2], f"{int(contract[2]) - 2}-01-03"
        return front and replace(front, symbol=symbol, start=start)
    if _EXPRESSION.fullmatch(full_symbol):
        return _make_expression(full_symbol)
    return None


def _make(
    exchange: str, symbol: str, description: str, price: str, start: str, overrides: str
) -> Instrument:
    facts = EXCHANGES[exchange] | dict(map(_override, overrides.split()))
    if start:
        facts["start"] = start
    return Instrument(
        exchange=exchange,
        symbol=symbol,
        description=description,
        base_price=float(price),
        **facts,
    )


def _override(text: str) -> tuple[str, Any]:
    name, value = text.split("=")
    if name == "splits":
        pairs = (pair.split(":") for pair in value.split(","))
        return name, tuple((day_number(date.fromisoformat(day)), int(n)) for day, n in pairs)
    if name == "typespecs":
        return name, (value,)
    if name == "has_volume":
        return name, value == "1"
    if name in {"growth", "volatility", "hole_rate"}:
        return name, float(value)
    return name, int(value) if value.isdigit() else value


def _make_expression(text: str) -> Instrument | None:
    names = _PART.findall(text)
    legs = [all_instruments().get(name) for name in names]
    found = [leg for leg in legs if leg is not None]
    if len(found) != len(names):
        return None
    prices = iter(found)
    try:
        price = _Arithmetic(_PART.sub(lambda _: repr(next(prices).base_price), text)).result()
    except (ValueError, ZeroDivisionError, IndexError):
        return None
    if price <= 0:
        return None
    scale = 10 ** max(2, 6 - len(str(int(price))))
    return replace(
        found[0],
        symbol=text,
        description=text,
        base_price=price,
        start=max(leg.start for leg in found),
        has_volume=False,
        price_scale=scale,
        minimum_move=1,
        splits=(),
        legs=tuple(names),
        feed="",
        kind="spread",
    )


class _Arithmetic:
    """Recursive-descent parser of the four operations and brackets."""

    def __init__(self, text: str) -> None:
        self._tokens: list[str] = re.findall(r"\d+(?:\.\d+)?(?:e-?\d+)?|\S", text)
        self._position = 0

    def result(self) -> float:
        value = self._sum()
        if self._position != len(self._tokens):
            raise ValueError("text after the expression")
        return value

    def _next_is(self, choices: str) -> bool:
        return self._position < len(self._tokens) and self._tokens[self._position] in choices

    def _take(self) -> str:
        self._position += 1
        return self._tokens[self._position - 1]

    def _sum(self) -> float:
        value = self._product()
        while self._next_is("+-"):
            value += self._product() if self._take() == "+" else -self._product()
        return value

    def _product(self) -> float:
        value = self._atom()
        while self._next_is("*/"):
            if self._take() == "*":
                value *= self._atom()
            else:
                value /= self._atom()
        return value

    def _atom(self) -> float:
        token = self._take()
        if token != "(":
            return float(token)
        value = self._sum()
        if self._take() != ")":
            raise ValueError("a bracket is not closed")
        return value
