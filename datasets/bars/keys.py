"""Dataset keys: the values that identify a dataset, and their one spelling."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from string import ascii_lowercase, ascii_uppercase
from typing import Any, Self, TypeVar

from datasets.bars.timeframes import Timeframe
from datasets.errors import InvalidRequest

MAX_SYMBOL_LENGTH = 128
# The source of bars from elsewhere, which `manage.py import` brings; no feed has this name.
IMPORTED = "imported"
# Largest number that the catalog's column holds.
_MAX_N_BARS = 2**31 - 1

_SOURCE = re.compile(r"[a-z0-9-]{1,32}")
# Text before a colon that does not match, such as `(COINBASE`, is part of an expression.
_EXCHANGE = re.compile(r"[A-Z0-9_]{1,32}")
_UPPER = {ord(small): small.upper() for small in ascii_lowercase}
_LOWER = {ord(large): large.lower() for large in ascii_uppercase}


class Session(StrEnum):
    """The trading hours that a dataset covers."""

    REGULAR = "regular"
    EXTENDED = "extended"


class Adjustment(StrEnum):
    """The corporate actions for which earlier prices are adjusted."""

    SPLITS = "splits"
    DIVIDENDS = "dividends"
    NONE = "none"


Choice = TypeVar("Choice", bound=StrEnum)


@dataclass(frozen=True, slots=True)
class DatasetKey:
    """The values that identify a dataset.

    Build a key with `parse` from a user's texts, with `from_dict` from stored values: two
    spellings of one key then give equal keys.
    """

    source: str
    exchange: str
    symbol: str
    timeframe: Timeframe
    n_bars: int
    session: Session = Session.REGULAR
    adjustment: Adjustment = Adjustment.SPLITS

    @classmethod
    def parse(
        cls,
        *,
        source: str,
        symbol: str,
        exchange: str = "",
        timeframe: str = "1h",
        n_bars: int = 5000,
        session: str = "regular",
        adjustment: str = "splits",
    ) -> Self:
        """Return the key of these texts, in any accepted spelling.

        Raises `InvalidRequest`, which names each wrong field.
        """
        _check_texts(
            source=source, symbol=symbol, exchange=exchange, timeframe=timeframe,
            session=session, adjustment=adjustment,
        )  # fmt: skip
        exchange, symbol = split_symbol(symbol, exchange)
        _check_names(exchange, symbol)
        return cls(
            source=check_source(source),
            exchange=exchange,
            symbol=symbol,
            timeframe=Timeframe.parse(timeframe),
            n_bars=_check_n_bars(n_bars),
            session=_choice(Session, "session", ascii_lower(session.strip())),
            adjustment=_choice(Adjustment, "adjustment", ascii_lower(adjustment.strip())),
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the key with these plain values, as `as_dict` returns them.

        The source is a file, a lock file, a row or a service, so every field is checked: all
        must be present and in their canonical spelling. Other names are ignored. Raises
        `InvalidRequest`, which names a wrong field.
        """
        found = {name: values.get(name) for name in KEY_FIELDS}
        n_bars = _check_n_bars(found.pop("n_bars"))
        _check_texts(**found)
        names = {name: str(found[name]) for name in ("exchange", "symbol")}
        for name, text in names.items():
            if canonical_name(text) != text:
                raise InvalidRequest({name: [f"{text!r} is not in its canonical spelling."]})
        _check_names(**names)
        return cls(
            **names,
            source=check_source(str(found["source"])),
            timeframe=_choice(Timeframe, "timeframe", found["timeframe"]),
            n_bars=n_bars,
            session=_choice(Session, "session", found["session"]),
            adjustment=_choice(Adjustment, "adjustment", found["adjustment"]),
        )

    @property
    def full_symbol(self) -> str:
        """TradingView's form, `EXCHANGE:SYMBOL`; for an expression only the symbol."""
        return join_symbol(self.exchange, self.symbol)

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, ready for JSON."""
        values = {name: getattr(self, name) for name in KEY_FIELDS}
        return {
            name: value.value if isinstance(value, StrEnum) else value
            for name, value in values.items()
        }

    def __str__(self) -> str:
        return f"{self.full_symbol} {self.timeframe.label} {self.n_bars}"


KEY_FIELDS = tuple(field.name for field in fields(DatasetKey))


def split_symbol(symbol: str, exchange: str) -> tuple[str, str]:
    """Return (exchange, symbol), both canonical, from any accepted spelling.

    `("BINANCE:BTCUSDT", "")` and `("btcusdt", "binance")` give the same result. An expression
    such as `(COINBASE:BTCUSD+BITSTAMP:BTCUSD)/2` has the exchange `""`. Raises
    `InvalidRequest` when the symbol's prefix is another exchange.
    """
    symbol, exchange = canonical_name(symbol), canonical_name(exchange)
    prefix, colon, rest = symbol.partition(":")
    if not colon or not is_exchange(prefix):
        return exchange, symbol
    if exchange not in ("", prefix):
        message = f"{exchange!r} is not the exchange in the symbol {symbol!r}; leave one out."
        raise InvalidRequest({"exchange": [message]})
    return prefix, rest


def join_symbol(exchange: str, symbol: str) -> str:
    """Return TradingView's form, `EXCHANGE:SYMBOL`; for an expression (exchange `""`) only the symbol."""
    return f"{exchange}:{symbol}" if exchange else symbol


def canonical_name(text: str) -> str:
    """Return a symbol or an exchange in its one spelling: NFC, ASCII letters upper case, stripped."""
    composed = unicodedata.normalize("NFC", text.strip())
    # A second time: an upper-case letter can compose with marks where the lower-case letter cannot.
    return unicodedata.normalize("NFC", ascii_upper(composed))


def ascii_upper(text: str) -> str:
    """Return the text with ASCII letters upper case: `str.upper` turns `ſ` into `S` and `ß` into `SS`."""
    return text.translate(_UPPER)


def ascii_lower(text: str) -> str:
    """Return the text with ASCII letters lower case: `str.lower` turns the Kelvin sign into `k`."""
    return text.translate(_LOWER)


def is_exchange(text: str) -> bool:
    """Return whether the text is a possible exchange in its canonical spelling."""
    return _EXCHANGE.fullmatch(text) is not None


def check_source(source: str) -> str:
    """Return the source; raise `InvalidRequest` for a text that is not a safe folder name."""
    if not _SOURCE.fullmatch(source):
        raise InvalidRequest({"source": [f"{source!r} is no source, such as 'tradingview'."]})
    return source


def _check_texts(**values: object) -> None:
    for name, value in values.items():
        if not isinstance(value, str):
            raise InvalidRequest({name: [f"{name} is {value!r}, which is no text."]})


def _check_names(exchange: str, symbol: str) -> None:
    """Raise `InvalidRequest` unless the canonical names are possible ones."""
    errors: dict[str, list[str]] = {}
    # `isprintable` refuses lone surrogates and every space but this one. U+FFFD stands for
    # bytes that are not UTF-8.
    is_printable = symbol.isprintable() and " " not in symbol and "\ufffd" not in symbol
    if not (1 <= len(symbol) <= MAX_SYMBOL_LENGTH and is_printable):
        errors["symbol"] = [
            f"A symbol is 1 to {MAX_SYMBOL_LENGTH} printable characters without spaces, such as BTCUSDT."
        ]
    if exchange and not is_exchange(exchange):
        errors["exchange"] = [
            "An exchange is 1 to 32 letters A to Z, digits or underscores, such as BINANCE."
        ]
    elif not exchange and ":" not in symbol:
        errors["exchange"] = ["This parameter is required, such as exchange=BINANCE."]
    if errors:
        raise InvalidRequest(errors)


def _check_n_bars(n_bars: object) -> int:
    if not isinstance(n_bars, int) or isinstance(n_bars, bool):
        raise InvalidRequest({"n_bars": ["This is no number of bars, such as 5000."]})
    if n_bars < 1:
        raise InvalidRequest({"n_bars": [f"{n_bars} is below 1."]})
    if n_bars > _MAX_N_BARS:
        raise InvalidRequest({"n_bars": [f"This is above {_MAX_N_BARS}."]})
    return n_bars


def _choice(choices: type[Choice], field: str, value: Any) -> Choice:
    try:
        return choices(value)
    except ValueError:
        message = f"{value!r} is no {field}; use one of {', '.join(choices)}."
        raise InvalidRequest({field: [message]}) from None
