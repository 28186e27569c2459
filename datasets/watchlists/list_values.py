"""Values of a watchlist: each has one spelling, and a wrong one is named."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from django.conf import settings

from datasets.bars import Adjustment, Session, Timeframe
from datasets.errors import InvalidRequest

MOST_SETTLE_S = 3600
_MOST_NAME = 100


def checked_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a list in their one spelling; raise `InvalidRequest`, which names each wrong one."""
    errors: dict[str, list[str]] = {}
    checked = dict(values)
    for name, value in values.items():
        try:
            checked[name] = _CHECKS[name](value)
        except InvalidRequest as error:
            errors[name] = [sentence for each in error.errors.values() for sentence in each]
    if errors:
        raise InvalidRequest(errors)
    return checked


def _check_name(name: object) -> str:
    text = " ".join(name.split()) if isinstance(name, str) else ""
    if not (1 <= len(text) <= _MOST_NAME and text.isprintable()):
        raise InvalidRequest({"name": [f"A name has 1 to {_MOST_NAME} printable characters."]})
    return text


def _check_timeframes(texts: object) -> list[str]:
    given = [texts] if isinstance(texts, str) else texts
    parts = [
        part for text in (given if isinstance(given, Collection) else ())
        for part in str(text).replace(",", " ").split()
    ]  # fmt: skip
    if not parts:
        allowed = ", ".join(Timeframe)
        raise InvalidRequest({"timeframes": [f"Name at least one of {allowed}."]})
    chosen = {Timeframe.parse(part) for part in parts}
    return [each.value for each in Timeframe if each in chosen]


def _check_choice(kind: type[Session] | type[Adjustment], value: object) -> str:
    if value not in list(kind):
        raise InvalidRequest({"": [f"{value!r} is not one of {', '.join(kind)}."]})
    return str(value)


def _check_number(value: object, lowest: int, highest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise InvalidRequest({"": [f"{value!r} is no whole number from {lowest} to {highest}."]})
    return value


def _check_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest({"": [f"{value!r} is neither true nor false."]})
    return value


_CHECKS = {
    "name": _check_name,
    "timeframes": _check_timeframes,
    "session": lambda value: _check_choice(Session, value),
    "adjustment": lambda value: _check_choice(Adjustment, value),
    "first_bars": lambda value: _check_number(value, 1, settings.TV_MAX_BARS),
    "settle_s": lambda value: _check_number(value, 0, MOST_SETTLE_S),
    "is_paused": _check_flag,
}
