"""Comparison of the instrument that TradingView resolved with the one that was asked for.

`pro_name` decides; `full_name` is the feed that answers, and differs often: NASDAQ:AAPL comes from BATS:AAPL.
"""

from __future__ import annotations

import re
from typing import Any

from datasets.errors import WrongBars
from datasets.tradingview.frames import printable

# `EXCHANGE:SYMBOL`: no expression, and nothing that TradingView wraps around it.
_PLAIN = re.compile(r"[A-Z0-9_]+:[^\s{}\"=:*+()/]+")
_PART = re.compile(r"[A-Z0-9_]+:[^\s+\-*/()\"]+")
_CONTINUOUS = re.compile(r"(.+?)\d+!")
_CONTRACT = re.compile(r"[FGHJKMNQUVXZ]\d{1,4}")
_NAMES = ("pro_name", "full_name")
_LISTS = ("base_name", "legs", "aliases", "alternatives")


def is_doubtful(asked: str, facts: dict[str, Any]) -> bool:
    """Return whether `symbol_resolved` leaves open that its instrument is the one asked for.

    `asked` is the key's full symbol, `facts` are the third parameter of `symbol_resolved`.
    Raises `WrongBars` when the facts name another instrument.
    """
    names = _names(facts)
    if _PLAIN.fullmatch(asked) is None:
        # An expression: TradingView may write it in another way, but of the same instruments.
        named = {part for name in names for part in _PART.findall(name)}
        return bool(named) and not set(_PART.findall(asked)) <= named
    resolved = _text(facts.get("pro_name"))
    if _PLAIN.fullmatch(resolved) is None:
        return bool(names) and asked not in names
    return _is_doubtful_name(asked, resolved, facts)


def _is_doubtful_name(asked: str, resolved: str, facts: dict[str, Any]) -> bool:
    exchange, _, symbol = asked.partition(":")
    resolved_exchange, _, resolved_symbol = resolved.partition(":")
    aliases = _texts(facts.get("aliases")) + _texts(facts.get("alternatives"))
    if asked in aliases:
        return False
    is_same_family = _is_same_family(exchange, resolved_exchange)
    if _letters(symbol) == _letters(resolved_symbol):
        # Asked for the feed itself, BATS:SPY, TradingView names the listing, AMEX:SPY.
        return not is_same_family and asked != _text(facts.get("full_name"))
    if is_same_family and _is_contract_of(symbol, resolved_symbol):
        return False
    shown = printable(resolved)
    raise WrongBars(
        f"TradingView was asked for {asked} and answered with another instrument, {shown}. "
        f"If that is the instrument you mean, because it was renamed, ask for {shown}."
    )


def _is_same_family(one: str, other: str) -> bool:
    """Return whether the exchanges are one, or one and a part of it: CME and CME_MINI."""
    return one == other or one.startswith(f"{other}_") or other.startswith(f"{one}_")


def _is_contract_of(continuous: str, symbol: str) -> bool:
    """Return whether `symbol` is a contract of a continuous future: ESZ2026 of ES1!."""
    found = _CONTINUOUS.fullmatch(continuous)
    return (
        found is not None
        and symbol.startswith(found[1])
        and _CONTRACT.fullmatch(symbol[len(found[1]) :]) is not None
    )


def _letters(symbol: str) -> str:
    """Return the symbol without marks, which are written differently: M&M and M_M."""
    return "".join(char for char in symbol if char.isalnum())


def _names(facts: dict[str, Any]) -> set[str]:
    """Return every full symbol that the facts name."""
    listed = f"{_text(facts.get('listed_exchange'))}:{_text(facts.get('name'))}"
    names = {listed, *(_text(facts.get(field)) for field in _NAMES)}
    for field in _LISTS:
        names.update(_texts(facts.get(field)))
    return {name for name in names if name.strip(":")}


def _texts(value: Any) -> list[str]:
    return [_text(one) for one in value] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value.strip().upper() if isinstance(value, str) else ""
