"""The facts of `symbol_resolved`: the instrument, and whether it is the one requested.

`pro_name` decides. `full_name` is the feed that answers and often differs: NASDAQ:AAPL comes from BATS:AAPL.
"""

from __future__ import annotations

import re
from typing import Any

from datasets.bars import Instrument
from datasets.errors import WrongBars
from datasets.tradingview.frames import printable

# A plain `EXCHANGE:SYMBOL`; not an expression, and not the JSON form of a symbol.
_PLAIN = re.compile(r"[A-Z0-9_]+:[^\s{}\"=:*+()/]+")
_PART = re.compile(r"[A-Z0-9_]+:[^\s+\-*/()\"]+")
# A continuous future and one of its contracts: `ES1! ESZ2026`.
_CONTRACT_OF = re.compile(r"(.+?)\d+! \1[FGHJKMNQUVXZ]\d{1,4}")
_NAMES = ("pro_name", "full_name")
_LISTS = ("base_name", "legs", "aliases", "alternatives")
# Longest text of a calendar; the longest recorded one, 25 years of holidays, has 2,500.
_LONGEST_CALENDAR = 100_000
# The largest integer that every JSON parser reads exactly.
_LARGEST_WHOLE = 2**53


def read_instrument(facts: dict[str, Any]) -> Instrument:
    """Return the instrument of `symbol_resolved`; a field of an unexpected type counts as absent."""

    def text(name: str) -> str:
        value = facts.get(name)
        return printable(value) if isinstance(value, str) else ""

    def whole(name: str) -> int | None:
        value = facts.get(name)
        return value if isinstance(value, int) and abs(value) <= _LARGEST_WHOLE else None

    return Instrument(
        pro_name=text("pro_name"),
        full_name=text("full_name"),
        description=text("description"),
        type=text("type"),
        currency=text("currency_code"),
        timezone=text("timezone"),
        **read_calendar(facts),
        pricescale=whole("pricescale"),
        minmov=whole("minmov"),
        delay_s=whole("delay") or 0,
        has_volume=facts.get("visible_plots_set", "ohlcv") != "ohlc",
    )


def read_calendar(facts: dict[str, Any]) -> dict[str, str]:
    """Return the calendar of the subsession that was asked for, in the feed's own texts.

    The subsession's own fields come first; corrections stand nowhere else. A text that is
    longer than a calendar can be counts as absent.
    """
    name = facts.get("subsession_id")
    listed = facts.get("subsessions")
    entries = listed if isinstance(listed, list) else []
    own = next((one for one in entries if isinstance(one, dict) and one.get("id") == name), {})

    def text(*values: Any) -> str:
        for value in values:
            if isinstance(value, str) and value and len(value) <= _LONGEST_CALENDAR:
                return "".join(char for char in value if char.isprintable())
        return ""

    return {
        "subsession": text(name),
        "session_hours": text(own.get("session"), facts.get("session")),
        "session_display": text(own.get("session-display"), facts.get("session_display")),
        "session_holidays": text(facts.get("session_holidays")),
        "session_correction": text(own.get("session-correction")),
    }


def is_doubtful(asked: str, facts: dict[str, Any]) -> bool:
    """Return whether the resolved instrument may be another one than the requested one.

    `asked` is the key's full symbol, `facts` are the third parameter of `symbol_resolved`.
    Raises `WrongBars` when the facts certainly name another instrument.
    """
    listed = f"{_text(facts.get('listed_exchange'))}:{_text(facts.get('name'))}"
    names = {listed, *(_text(facts.get(field)) for field in _NAMES)}
    for field in _LISTS:
        names.update(_texts(facts.get(field)))
    names = {name for name in names if name.strip(":")}
    if _PLAIN.fullmatch(asked) is None:
        # TradingView may rewrite an expression, but it must name the same instruments.
        named = {part for name in names for part in _PART.findall(name)}
        return bool(named) and not set(_PART.findall(asked)) <= named
    resolved = _text(facts.get("pro_name"))
    if _PLAIN.fullmatch(resolved) is None:
        return bool(names) and asked not in names
    if asked in _texts(facts.get("aliases")) + _texts(facts.get("alternatives")):
        return False
    exchange, _, symbol = asked.partition(":")
    resolved_exchange, _, resolved_symbol = resolved.partition(":")
    # One exchange, or an exchange and a part of it: CME and CME_MINI.
    is_same_family = f"{exchange}_".startswith(f"{resolved_exchange}_") or (
        f"{resolved_exchange}_".startswith(f"{exchange}_")
    )
    if _letters(symbol) == _letters(resolved_symbol):
        # For the feed BATS:SPY, TradingView names the listing AMEX:SPY.
        return not is_same_family and asked != _text(facts.get("full_name"))
    if is_same_family and _CONTRACT_OF.fullmatch(f"{symbol} {resolved_symbol}"):
        return False
    shown = printable(resolved)
    raise WrongBars(
        f"The request was for {asked}, and TradingView answered with another instrument, {shown}. "
        f"If {asked} was renamed to {shown}, request {shown}."
    )


def _letters(symbol: str) -> str:
    """Return the letters and digits of a symbol: M&M and M_M are one symbol."""
    return "".join(char for char in symbol if char.isalnum())


def _texts(value: Any) -> list[str]:
    return [_text(one) for one in value] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value.strip().upper() if isinstance(value, str) else ""
