"""Changes of a symbol's history: from an instant on, the feed sends other bars or facts than before.

The bars of `bars.py` are those after all splits, dividends and rolls. The bars that were sent
before are computed back from them, rounded to the instrument's ticks as a real exchange states
them. An adjusted price is rounded to six decimals, as TradingView does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from samplefeed.clock import parse_instant
from samplefeed.instruments import Instrument
from samplefeed.noise import Flags, Floats
from samplefeed.synthetic import CLOSE, HIGH, LOW, OPEN, TIME, VOLUME

_DECIMALS = 6

# Sentence, and the names of the arguments beside `symbol` and `at`; those with "?" may be missing.
CHANGES: dict[str, tuple[str, str]] = {
    "split": (
        "Bars before `at`: prices divided by `ratio`, volumes multiplied; until `half_until` only bars older than `half_s`.",
        "ratio half_until? half_s?",
    ),
    "dividend": (
        "Bars before `at` lose the `share` of their price, for clients that request adjustment for dividends.",
        "share",
    ),
    "roll": ("A back-adjusted future: prices of bars before `at` rise by `offset`.", "offset"),
    "price_revision": (
        "From `at` on, bars from `first` until `last` close `ticks` (1) higher.",
        "first last ticks?",
    ),
    "volume_revision": (
        "Bars from `at` until `until` lack the `share` (0.1) of their volume until they are `after_s` (86400) old.",
        "until? share? after_s?",
    ),
    "placeholder": (
        "From `at` until `until` the newest bar is one without volume that opens at `bar`.",
        "until bar",
    ),
    "feed_change": (
        "From `at` on, the facts name the feed `full_name`, with the delay `delay_s` (0).",
        "full_name delay_s?",
    ),
    "outage": ("From `at` until `until` the connection ends instead of an answer.", "until"),
}
_INSTANTS = {"at", "until", "half_until", "first", "last", "bar"}
_TEXTS = {"symbol", "full_name"}


@dataclass(frozen=True)
class Change:
    """One change of one symbol's history, in force from `at` on; instants are UNIX seconds."""

    name: str
    symbol: str
    at: float
    until: float = math.inf
    ratio: float = 1.0
    half_until: float = -math.inf
    half_s: float = 172_800.0
    share: float = 0.1
    offset: float = 0.0
    first: float = 0.0
    last: float = 0.0
    ticks: float = 1.0
    after_s: float = 86_400.0
    bar: float = 0.0
    full_name: str = ""
    delay_s: float = 0.0

    @property
    def step(self) -> tuple[float, float, float]:
        """Return factor and offset of the prices, and the factor of the volumes."""
        if self.name == "split":
            return 1 / self.ratio, 0.0, self.ratio
        if self.name == "dividend":
            return 1 - self.share, 0.0, 1.0
        return 1.0, self.offset, 1.0

    def is_step_of(self, adjustment: str) -> bool:
        """Return whether clients that request this adjustment see another basis of the prices."""
        if self.name == "split":
            return adjustment != "none"
        return self.name == "roll" or (self.name == "dividend" and adjustment == "dividends")

    def is_applied(self, times: Floats, now: float) -> Flags:
        """Return which bars the feed has adjusted at `now`; for changes with a step."""
        boundary = self.at - (self.half_s if now < self.half_until else 0.0)
        applied: Flags = (times < boundary) & (now >= self.at)
        return applied


def read_change(name: str, args: Mapping[str, Any]) -> Change:
    """Return the change of these arguments; instants are ISO 8601. Raises `ValueError`."""
    names = ["symbol", "at", *CHANGES[name][1].split()]
    allowed = {each.rstrip("?") for each in names}
    missing = sorted({each for each in names if not each.endswith("?")} - set(args))
    unknown = sorted(set(args) - allowed)
    if missing or unknown:
        raise ValueError(
            f"{name} has the arguments {', '.join(names)}; missing: {missing}, unknown: {unknown}."
        )
    return Change(name, **{each: _read_value(each, value) for each, value in args.items()})


def _read_value(name: str, value: object) -> Any:
    if name in _INSTANTS and isinstance(value, str):
        return parse_instant(value)
    if name in _TEXTS and isinstance(value, str):
        return value
    if name not in _TEXTS | _INSTANTS and isinstance(value, int | float) and value:
        return float(value)
    raise ValueError(f"{name} cannot be {value!r}.")


def changed_rows(
    rows: Floats, changes: Sequence[Change], instrument: Instrument, now: float, adjustment: str
) -> Floats:
    """Return the rows that the feed sends at `now` in place of `rows`, which are those after all changes."""
    rows = rows.copy()
    steps = sorted(
        (each for each in changes if each.is_step_of(adjustment)), key=lambda one: one.at
    )
    _step_back(rows, steps, instrument)
    for change in changes:
        if change.name == "price_revision" and now >= change.at:
            is_revised = (rows[:, TIME] >= change.first) & (rows[:, TIME] < change.last)
            closes = rows[is_revised, CLOSE] + change.ticks * instrument.tick
            rows[is_revised, CLOSE] = np.round(closes, _DECIMALS)
            rows[is_revised, HIGH] = rows[is_revised, OPEN:VOLUME].max(axis=1)
            rows[is_revised, LOW] = rows[is_revised, OPEN:VOLUME].min(axis=1)
        elif change.name == "volume_revision" and instrument.has_volume:
            is_early = (rows[:, TIME] >= change.at) & (rows[:, TIME] < change.until)
            is_early &= rows[:, TIME] + change.after_s > now
            rows[is_early, VOLUME] = np.floor(rows[is_early, VOLUME] * (1 - change.share))
    for step in steps:
        is_applied = step.is_applied(rows[:, TIME], now)
        factor, offset, volume_factor = step.step
        prices = rows[is_applied, OPEN:VOLUME] * factor + offset
        rows[is_applied, OPEN:VOLUME] = np.round(prices, _DECIMALS)
        if instrument.has_volume:
            rows[is_applied, VOLUME] = np.round(rows[is_applied, VOLUME] * volume_factor)
    return rows


def _step_back(rows: Floats, steps: Sequence[Change], instrument: Instrument) -> None:
    """Bring the rows to the prices at which they were traded."""
    is_before = np.zeros(len(rows), dtype=bool)
    for step in reversed(steps):
        chosen = rows[:, TIME] < step.at
        factor, offset, volume_factor = step.step
        rows[chosen, OPEN:VOLUME] = (rows[chosen, OPEN:VOLUME] - offset) / factor
        if instrument.has_volume:
            rows[chosen, VOLUME] = np.round(rows[chosen, VOLUME] / volume_factor)
        is_before |= chosen
    ticks = np.rint(rows[is_before, OPEN:VOLUME] / instrument.tick)
    rows[is_before, OPEN:VOLUME] = ticks * instrument.minimum_move / instrument.price_scale


def placeholder_at(changes: Sequence[Change], now: float) -> float | None:
    """Return the opening of the bar without volume that the feed shows at `now`, or None."""
    shown = (each for each in changes if each.name == "placeholder" and each.at <= now < each.until)
    return next((each.bar for each in shown), None)


def changed_facts(facts: dict[str, Any], changes: Sequence[Change], now: float) -> dict[str, Any]:
    """Return the facts of `symbol_resolved` at `now`."""
    for change in changes:
        if change.name == "feed_change" and now >= change.at:
            feed = change.full_name.partition(":")[0]
            facts = facts | {
                "full_name": change.full_name,
                "legs": [change.full_name],
                "source_id": feed,
            }
            facts = facts | {"delay": int(change.delay_s)} if change.delay_s else facts
    return facts


def is_away(changes: Sequence[Change], now: float) -> bool:
    """Return whether the feed gives no answer at `now`."""
    return any(each.name == "outage" and each.at <= now < each.until for each in changes)
