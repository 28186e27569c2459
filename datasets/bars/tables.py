"""What bars are: their schema, timeframes, what identifies a dataset, and the checks.

Knows no Django, no files and no network.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from enum import StrEnum
from string import ascii_lowercase, ascii_uppercase
from typing import Any, Self, TypeVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from datasets.errors import BadBars, InvalidRequest

PRICE_COLUMNS = ("open", "high", "low", "close")
BAR_COLUMNS = ("time", *PRICE_COLUMNS, "volume")

_BAR_FIELDS: list[pa.Field[Any]] = [
    # The bar's opening instant; strictly increasing, unique.
    pa.field("time", pa.timestamp("ms", tz="UTC"), nullable=False),
    # Quote currency, finite; as TradingView sent them, never rounded.
    pa.field("open", pa.float64(), nullable=False),
    pa.field("high", pa.float64(), nullable=False),
    pa.field("low", pa.float64(), nullable=False),
    pa.field("close", pa.float64(), nullable=False),
    # Units traded; null where the exchange gives none, which is not the same as 0.
    pa.field("volume", pa.float64(), nullable=True),
]
BAR_SCHEMA = pa.schema(_BAR_FIELDS)


class Timeframe(StrEnum):
    """The length of a bar, in its canonical spelling. `1` is a minute, `1M` a month."""

    MIN_1 = "1"
    MIN_3 = "3"
    MIN_5 = "5"
    MIN_15 = "15"
    MIN_30 = "30"
    MIN_45 = "45"
    HOUR_1 = "1h"
    HOUR_2 = "2h"
    HOUR_3 = "3h"
    HOUR_4 = "4h"
    DAY_1 = "1D"
    WEEK_1 = "1W"
    MONTH_1 = "1M"

    @classmethod
    def parse(cls, text: str) -> Timeframe:
        """Return the timeframe that `text` spells; raise `InvalidRequest` naming all allowed.

        `1M` is a month and `1m` is a minute, so case is never folded.
        """
        found = _SPELLINGS.get(text.strip())
        if found is None:
            allowed = ", ".join(cls)
            raise InvalidRequest(
                {"timeframe": [f"{text!r} is no timeframe; use one of {allowed}."]}
            )
        return found

    @property
    def label(self) -> str:
        """The spelling that people read: minutes carry their unit (`5m`)."""
        return self.value if self.value[-1].isalpha() else f"{self.value}m"

    @property
    def is_intraday(self) -> bool:
        """Whether a bar is shorter than a trading day."""
        return self.value[-1] not in "DWM"

    @property
    def minutes(self) -> int | None:
        """Length in minutes of an intraday bar; None where days differ in length."""
        if not self.is_intraday:
            return None
        return int(self.value[:-1]) * 60 if self.value.endswith("h") else int(self.value)


def _spellings() -> dict[str, Timeframe]:
    """Map every accepted spelling to its timeframe."""
    found: dict[str, Timeframe] = {}
    for timeframe in Timeframe:
        if timeframe.minutes is None:
            number, unit = timeframe.value[:-1], timeframe.value[-1]
            found |= dict.fromkeys([timeframe.value, unit], timeframe)
            if unit == "M":
                found |= dict.fromkeys(["1mo", "mo", f"{number}MO"], timeframe)
            else:
                found |= dict.fromkeys([timeframe.value.lower(), unit.lower()], timeframe)
            continue
        minutes = timeframe.minutes
        found |= dict.fromkeys([str(minutes), f"{minutes}m", f"{minutes}min"], timeframe)
        if minutes % 60 == 0:
            found |= dict.fromkeys([f"{minutes // 60}h", f"{minutes // 60}H"], timeframe)
    return found


_SPELLINGS = _spellings()


class Session(StrEnum):
    """The trading hours a dataset covers."""

    REGULAR = "regular"
    EXTENDED = "extended"


class Adjustment(StrEnum):
    """How prices before a corporate action are adjusted."""

    SPLITS = "splits"
    DIVIDENDS = "dividends"
    NONE = "none"


# A plain exchange prefix. Text before a colon that is not one (`(COINBASE`, `BTCUSD+BITSTAMP`)
# is part of an expression.
_EXCHANGE = re.compile(r"[A-Z0-9_]{1,32}")
MAX_SYMBOL_LENGTH = 128
# As far as the catalog's column reaches.
_MAX_N_BARS = 2**31 - 1
_UPPER = {ord(small): small.upper() for small in ascii_lowercase}
_LOWER = {ord(large): large.lower() for large in ascii_uppercase}


def ascii_upper(text: str) -> str:
    """Return the text with ASCII letters upper case: `str.upper` turns `ſ` into `S` and `ß` into `SS`."""
    return text.translate(_UPPER)


def ascii_lower(text: str) -> str:
    """Return the text with ASCII letters lower case: `str.lower` turns the Kelvin sign into `k`."""
    return text.translate(_LOWER)


def canonical_name(text: str) -> str:
    """Return a symbol or an exchange in its one spelling: NFC, ASCII letters upper case, no space around it."""
    composed = unicodedata.normalize("NFC", text.strip())
    # Again, as an upper-case letter composes with marks with which the lower-case one does not.
    return unicodedata.normalize("NFC", ascii_upper(composed))


_SOURCE = re.compile(r"[a-z0-9-]{1,32}")


def split_symbol(symbol: str, exchange: str) -> tuple[str, str]:
    """Return (exchange, symbol), both canonical, from any of the accepted spellings.

    `("BINANCE:BTCUSDT", "")` and `("btcusdt", "binance")` are the same. An expression
    such as `(COINBASE:BTCUSD+BITSTAMP:BTCUSD)/2` has no exchange of its own: it gives `""`.
    """
    symbol, exchange = canonical_name(symbol), canonical_name(exchange)
    prefix, colon, rest = symbol.partition(":")
    has_prefix = bool(colon) and _EXCHANGE.fullmatch(prefix) is not None
    if has_prefix and exchange in ("", prefix):
        return prefix, rest
    if has_prefix and exchange:
        raise InvalidRequest(
            {
                "exchange": [
                    f"{exchange!r} is not the exchange in the symbol {symbol!r}; leave one out."
                ]
            }
        )
    return exchange, symbol


def _is_printable(text: str) -> bool:
    # `isprintable` also refuses every other space, and half characters; the last is what
    # stands for bytes that are no UTF-8.
    return text.isprintable() and " " not in text and "\ufffd" not in text


def _check_names(exchange: str, symbol: str) -> None:
    errors: dict[str, list[str]] = {}
    if not (1 <= len(symbol) <= MAX_SYMBOL_LENGTH and _is_printable(symbol)):
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


def is_exchange(text: str) -> bool:
    """Return whether the text can be an exchange, in its canonical spelling."""
    return _EXCHANGE.fullmatch(text) is not None


def check_source(source: str) -> str:
    """Return the source when it can be one: it is the name of a folder."""
    if not _SOURCE.fullmatch(source):
        raise InvalidRequest({"source": [f"{source!r} is no source, such as 'tradingview'."]})
    return source


def _check_number(n_bars: object) -> int:
    if not isinstance(n_bars, int) or isinstance(n_bars, bool):
        raise InvalidRequest({"n_bars": ["This is no number of bars, such as 5000."]})
    if n_bars < 1:
        raise InvalidRequest({"n_bars": [f"{n_bars} is below 1."]})
    if n_bars > _MAX_N_BARS:
        raise InvalidRequest({"n_bars": [f"This is above {_MAX_N_BARS}."]})
    return n_bars


@dataclass(frozen=True, slots=True)
class DatasetKey:
    """What identifies a dataset. Two spellings of one key are equal; build it with `parse`."""

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
        """Return the key that these texts spell; raise `InvalidRequest` naming each wrong field."""
        words = {
            "source": source, "symbol": symbol, "exchange": exchange, "timeframe": timeframe,
            "session": session, "adjustment": adjustment,
        }  # fmt: skip
        for name, word in words.items():
            if not isinstance(word, str):
                raise InvalidRequest({name: [f"{name} is {word!r}, which is no text."]})
        exchange, symbol = split_symbol(symbol, exchange)
        _check_names(exchange, symbol)
        return cls(
            source=check_source(source),
            exchange=exchange,
            symbol=symbol,
            timeframe=Timeframe.parse(timeframe),
            n_bars=_check_number(n_bars),
            session=_choice(Session, "session", session),
            adjustment=_choice(Adjustment, "adjustment", adjustment),
        )

    @property
    def full_symbol(self) -> str:
        """TradingView's form, `EXCHANGE:SYMBOL`, or the expression alone."""
        return f"{self.exchange}:{self.symbol}" if self.exchange else self.symbol

    def as_dict(self) -> dict[str, Any]:
        """Return the key as JSON-ready values, field by field."""
        return {name: _plain(getattr(self, name)) for name in KEY_FIELDS}

    def __str__(self) -> str:
        return f"{self.full_symbol} {self.timeframe.label} {self.n_bars}"


KEY_FIELDS = tuple(field.name for field in fields(DatasetKey))


Choice = TypeVar("Choice", bound=StrEnum)


def _choice(choices: type[Choice], field: str, text: str) -> Choice:
    try:
        return choices(ascii_lower(text.strip()))
    except ValueError:
        message = f"{text!r} is no {field}; use one of {', '.join(choices)}."
        raise InvalidRequest({field: [message]}) from None


def _plain(value: Any) -> Any:
    return value.value if isinstance(value, StrEnum) else value


@dataclass(frozen=True, slots=True)
class Instrument:
    """What TradingView says of the instrument (`symbol_resolved`); "" or None where it does not."""

    # The symbol's own name, and the feed that really answered: NASDAQ:AAPL comes from BATS:AAPL.
    pro_name: str = ""
    full_name: str = ""
    description: str = ""
    type: str = ""
    currency: str = ""
    timezone: str = ""
    session_hours: str = ""
    pricescale: int | None = None
    minmov: int | None = None
    # Seconds by which the feed lags the exchange; 0 for a live one.
    delay_s: int = 0
    has_volume: bool = True

    def as_dict(self) -> dict[str, Any]:
        """Return the facts field by field; all are JSON-ready."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Build from stored values, leaving out names a later version may have added."""
        known = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in values.items() if name in known})


@dataclass(frozen=True, slots=True)
class FetchedBars:
    """One complete reply of TradingView, checked.

    `table` has `BAR_SCHEMA`, oldest bar first, 0 < rows <= n_bars. `last_bar_final` is False
    while the last bar is still forming, and None where the feed did not say.
    """

    table: pa.Table
    instrument: Instrument
    fetched_at: datetime
    last_bar_final: bool | None
    # The feed said that it holds no deeper history for us (`data_completed: limit`).
    is_limited: bool = False
    n_duplicates: int = 0
    # What looks odd and may be right: a code of `plausibility.DOUBTS` and the number of bars.
    doubts: dict[str, int] = field(default_factory=dict)


def make_table(values: npt.NDArray[np.float64], *, has_volume: npt.NDArray[np.bool_]) -> pa.Table:
    """Return checked bars from an array of shape (n, 6): UNIX seconds, prices, volume.

    `has_volume` says for each row whether its volume is one; where False the volume is null.
    Rows must be sorted by time without duplicates. Raises `BadBars` for what cannot be a bar.
    """
    check_numbers(values, has_volume=has_volume)
    if np.any(np.diff(values[:, 0]) <= 0):
        raise BadBars("The bars are not in strictly increasing order of time.")
    milliseconds = (values[:, 0].astype(np.int64)) * 1000
    columns = [pa.array(milliseconds, type=pa.int64()).cast(BAR_SCHEMA.field("time").type)]
    columns += [pa.array(values[:, index]) for index in range(1, 5)]
    columns.append(pa.array(values[:, 5], mask=~has_volume))
    return pa.Table.from_arrays(columns, schema=BAR_SCHEMA)


# TradingView writes 1e+100 where it has no value.
NO_VALUE = 1e100
# 0001-01-01 and 10000-01-01; outside of them Python has no date.
_FIRST_SECOND, _END_SECOND = -62135596800, 253402300800


def check_numbers(values: npt.NDArray[np.float64], *, has_volume: npt.NDArray[np.bool_]) -> None:
    """Raise `BadBars` unless every row, shape (n, 6 or more), can be a bar; name one that cannot."""
    times, prices, volumes = values[:, 0], values[:, 1:5], values[has_volume, 5]
    if not np.all((times >= _FIRST_SECOND) & (times < _END_SECOND)):
        raise BadBars("A bar has a time that is no date.")
    fractional = times != np.floor(times)
    if fractional.any():
        raise BadBars(f"A bar's time, {times[fractional][0]}, is not a whole second.")
    bad = ~np.isfinite(prices) | (np.abs(prices) >= NO_VALUE)
    if bad.any():
        row = int(np.argwhere(bad)[0][0])
        raise BadBars(f"The bar of {_iso(times[row])} has a price that is no number.")
    if not np.all(np.isfinite(volumes) & (np.abs(volumes) < NO_VALUE)):
        raise BadBars("A bar has a volume that is no number.")
    if np.any(volumes < 0):
        row = int(np.flatnonzero(has_volume & (values[:, 5] < 0))[0])
        raise BadBars(f"The bar of {_iso(times[row])} has a volume below zero.")


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def count_inconsistent(table: pa.Table) -> int:
    """Count bars whose high or low does not enclose the other prices; they are kept as sent."""
    opens, highs, lows, closes = (table[name].to_numpy() for name in PRICE_COLUMNS)
    return int(
        np.count_nonzero(
            (highs < np.maximum(opens, closes))
            | (lows > np.minimum(opens, closes))
            | (highs < lows)
        )
    )


def zero_volume_share(table: pa.Table) -> float | None:
    """Return the share of bars with a volume of 0, from 0 to 1; None where none has a volume."""
    volumes = table["volume"].drop_null().to_numpy()
    return float(np.count_nonzero(volumes == 0) / len(volumes)) if len(volumes) else None


def largest_gap_s(table: pa.Table) -> int | None:
    """Return the longest time between the openings of two neighbouring bars, in seconds."""
    times = table["time"].cast(pa.int64()).to_numpy()
    return int(np.diff(times).max()) // 1000 if len(times) > 1 else None


def content_hash(table: pa.Table) -> str:
    """Return the SHA-256 over the columns' values, as 64 hex digits.

    It is the same for equal bars, however a file compresses or chunks them.
    """
    digest = hashlib.sha256(b"bars-1")
    digest.update(str(table.num_rows).encode())
    digest.update(table["time"].cast(pa.int64()).to_numpy().astype("<i8", copy=False).data)
    for name in PRICE_COLUMNS:
        digest.update(table[name].to_numpy().astype("<f8", copy=False).data)
    volume = table["volume"].combine_chunks()
    digest.update(volume.is_valid().to_numpy(zero_copy_only=False).data)
    digest.update(volume.fill_null(0.0).to_numpy().astype("<f8", copy=False).data)
    return digest.hexdigest()
