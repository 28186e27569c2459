"""From the values of TradingView's messages to rows of numbers and facts of an instrument."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.bars import NO_VALUE, Instrument, check_numbers
from datasets.errors import BadBars
from datasets.tradingview.frames import printable

# What every reader of JSON takes for a whole number.
_LARGEST_WHOLE = 2**53


def read_rows(bars: Any) -> npt.NDArray[np.float64]:
    """Return an array of shape (n, 7) from a series' `s`: time, prices, volume, has volume.

    A bar has 5 numbers where the exchange gives no volume, 6 with it, 7 with open interest.
    Raises `BadBars` when a bar is none of these.
    """
    try:
        values = [bar["v"] for bar in bars]
    except (TypeError, KeyError) as error:
        raise BadBars("A bar came without its numbers.") from error
    if not set(map(type, values)) <= {list}:
        raise BadBars("A bar came without its numbers.")
    lengths = set(map(len, values))
    if not lengths <= {5, 6, 7}:
        raise BadBars(f"A bar has {sorted(lengths - {5, 6, 7})[0]} numbers; 5 to 7 are known.")
    if len(lengths) > 1 or lengths == {7}:
        values = [[*value[:6], NO_VALUE][:6] for value in values]
    rows = np.full((len(values), 7), NO_VALUE)
    rows[:, : min(len(values[0]), 6)] = _to_numbers(values)
    has_volume = rows[:, 5] != NO_VALUE
    rows[:, 6] = has_volume
    # Here and not at the end, while the message that holds the bad bar is at hand.
    check_numbers(rows, has_volume=has_volume)
    return rows


def _to_numbers(values: list[list[Any]]) -> npt.NDArray[np.float64]:
    if not set(map(type, chain.from_iterable(values))) <= {float, int}:
        # A null volume is "no value"; a null, a text or a truth value anywhere else is no bar.
        values = [
            [*value[:5], *(NO_VALUE if number is None else number for number in value[5:])]
            for value in values
        ]
        if any(type(number) not in (int, float) for value in values for number in value):
            raise BadBars("A bar has a price or a time that is no number.")
    try:
        return np.array(values, dtype=np.float64)
    except OverflowError as error:
        raise BadBars("A bar has a number that is too large to be one.") from error


def read_instrument(facts: dict[str, Any]) -> Instrument:
    """Return what `symbol_resolved` says; a field of an unexpected type counts as absent."""

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
        session_hours=text("session"),
        pricescale=whole("pricescale"),
        minmov=whole("minmov"),
        delay_s=whole("delay") or 0,
        has_volume=facts.get("visible_plots_set", "ohlcv") != "ohlc",
    )
