"""Synthetic trade: prices in whole ticks for each day and minute, the same on every call.

A day depends on its date alone. Its minutes are a random walk from the day's open to its close
that touches the day's high and low. So each part of history can be computed alone, and a longer
bar equals exactly the sum of its minutes.
All numbers are integers, because sums of floats depend on the order of the terms.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from samplefeed import hours
from samplefeed.instruments import Instrument
from samplefeed.noise import Flags, Floats, Integers, Words, seed_of, uniform, value_noise, words

# Columns of every table of bars. Prices in ticks, volume in units of 1 / volume_scale.
TIME, OPEN, HIGH, LOW, CLOSE, VOLUME = range(6)

_REFERENCE_DAY = 19_723  # 2024-01-01, the day on which `base_price` is about right
_OCTAVES = 11
_TURNOVER = 4e9  # value of the trades of a usual day
_NOTHING = np.int64(2**62)


@dataclass(frozen=True)
class Days:
    """All trading days of an instrument: day numbers, open and close in UTC, a table of bars."""

    numbers: Integers
    opens: Integers
    closes: Integers
    table: Integers


@dataclass(frozen=True)
class Minutes:
    """The minutes of some days, each array shaped (days, minutes).

    `is_traded` is false for a minute without a trade; its price is the last price.
    """

    offsets: Integers  # of each column: minutes after the midnight of the trading day
    opens: Integers
    highs: Integers
    lows: Integers
    closes: Integers
    volumes: Integers
    is_traded: Flags


@lru_cache(maxsize=128)
def all_days(instrument: Instrument) -> Days:
    """Return the whole history and some years of the future.

    The whole array is computed at once: `exp` may round differently in a shorter array, and a
    bar must not depend on the request.
    """
    numbers = hours.trading_days(instrument.hours, instrument.first_day)
    if instrument.hole_rate:
        chance = uniform(seed_of(instrument.full_symbol, "days"), numbers)
        numbers = numbers[chance > -1.0 + instrument.hole_rate / 10]
    midnights = hours.midnights(instrument.hours, numbers)
    opens = midnights + 60 * instrument.hours.legs[0][0]
    ends = hours.session_end_minutes(instrument.hours, "regular", numbers)
    table = np.stack([opens, *_day_prices(instrument, numbers)], axis=1)
    return Days(numbers, opens, midnights + 60 * ends, table)


def _day_prices(instrument: Instrument, numbers: Integers) -> list[Integers]:
    name, volatility = instrument.full_symbol, instrument.volatility
    previous = _price_levels(instrument, numbers - 1)
    if not instrument.hours.is_open_at_weekends:
        previous *= 1.0 + uniform(seed_of(name, "gap"), numbers) * volatility * 0.2
    opens = _ticks(previous)
    closes = _ticks(_price_levels(instrument, numbers))
    reach = np.maximum(opens, closes) * volatility * 0.6
    up = np.rint(reach * np.abs(uniform(seed_of(name, "up"), numbers))).astype(np.int64)
    down = np.rint(reach * np.abs(uniform(seed_of(name, "down"), numbers))).astype(np.int64)
    highs = np.maximum(opens, closes) + up
    lows = np.maximum(np.minimum(opens, closes) - down, 1)
    usual = _TURNOVER / instrument.base_price * (0.05 if instrument.hole_rate else 1.0)
    swing = value_noise(f"{name} volume", numbers, 6) * 0.15
    volumes = np.rint(usual * instrument.volume_scale * np.exp(swing)).astype(np.int64)
    return [opens, highs, lows, closes, volumes]


def _price_levels(instrument: Instrument, numbers: Integers) -> Floats:
    """Return the unrounded closing price of each day in ticks."""
    wander = value_noise(instrument.full_symbol, numbers, _OCTAVES) * instrument.volatility * 0.5
    years = (numbers - _REFERENCE_DAY) / 365.25
    # Growth is slower after the reference day, or future prices would look absurd.
    trend = instrument.growth * np.where(years < 0, years, years / 4)
    level: Floats = np.exp(np.clip(trend + wander, -6.0, 4.0)) * instrument.base_price
    return level / instrument.tick


def _ticks(levels: Floats) -> Integers:
    return np.maximum(np.rint(levels), 1).astype(np.int64)


def minutes_of(instrument: Instrument, session: str, chosen: slice) -> Minutes:
    """Return the minutes of the days at the positions `chosen`, in the given session."""
    days = all_days(instrument)
    numbers, table = days.numbers[chosen], days.table[chosen]
    legs = instrument.hours.all_legs(session)
    if legs == instrument.hours.legs:
        return _regular_minutes(instrument, numbers, table)
    before, after = legs[0], legs[-1]
    parts = [
        _walk(instrument, "premarket", before, numbers, _premarket(table)),
        _regular_minutes(instrument, numbers, table),
        _walk(instrument, "postmarket", after, numbers, _postmarket(instrument, numbers, table)),
    ]
    joined = {
        name: np.concatenate([getattr(part, name) for part in parts], axis=-1)
        for name in Minutes.__dataclass_fields__
    }
    return Minutes(**joined)


def _regular_minutes(instrument: Instrument, numbers: Integers, table: Integers) -> Minutes:
    """Return the minutes of each day. A midday break has no columns."""
    legs = instrument.hours.legs
    start = legs[0][0]
    together = (start, start + sum(end - begin for begin, end in legs))
    minutes = _walk(instrument, "regular", together, numbers, table)
    offsets = np.concatenate([np.arange(begin, end) for begin, end in legs])
    return replace(minutes, offsets=offsets)


def _premarket(table: Integers) -> Integers:
    """Return a bar for the hours before the open of each day, with prices near the open."""
    early = table.copy()
    early[:, OPEN] = np.clip(table[:, OPEN] * 2 - table[:, CLOSE], table[:, LOW], table[:, HIGH])
    early[:, HIGH] = np.maximum(early[:, OPEN], table[:, OPEN]) + 1
    early[:, LOW] = np.maximum(np.minimum(early[:, OPEN], table[:, OPEN]) - 1, 1)
    early[:, CLOSE] = table[:, OPEN]
    early[:, VOLUME] = table[:, VOLUME] // 50
    return early


def _postmarket(instrument: Instrument, numbers: Integers, table: Integers) -> Integers:
    late = table.copy()
    swing = uniform(seed_of(instrument.full_symbol, "evening"), numbers) * instrument.volatility / 5
    late[:, OPEN] = table[:, CLOSE]
    late[:, CLOSE] = np.maximum(np.rint(table[:, CLOSE] * (1.0 + swing)), 1).astype(np.int64)
    late[:, HIGH] = np.maximum(late[:, OPEN], late[:, CLOSE]) + 1
    late[:, LOW] = np.maximum(np.minimum(late[:, OPEN], late[:, CLOSE]) - 1, 1)
    late[:, VOLUME] = table[:, VOLUME] // 40
    return late


def _walk(
    instrument: Instrument, name: str, leg: tuple[int, int], numbers: Integers, table: Integers
) -> Minutes:
    """Return the minutes of one leg: a walk from open to close that touches high and low."""
    n_minutes = leg[1] - leg[0]
    lengths = hours.leg_lengths(instrument.hours, leg, numbers)
    columns = np.arange(n_minutes)
    seed = seed_of(instrument.full_symbol, name)
    bits = words(seed, numbers[:, None] * 4096 + columns)
    hole_rate = max(instrument.hole_rate, 0.0 if name == "regular" else 0.5)
    is_traded = _traded_minutes(bits, lengths, hole_rate)
    points = _points(bits, lengths, table)
    if hole_rate:
        # A minute without a trade has the last price.
        columns_traded = np.where(is_traded, columns + 1, 0)
        latest = np.maximum.accumulate(columns_traded, axis=1)
        points[:, 1:] = np.take_along_axis(points, latest, axis=1)
    opens, closes = points[:, :-1], points[:, 1:]
    highs, lows = _extremes(bits, opens, closes, is_traded, table)
    # The volumes of the minutes add up to the volume of the day.
    weights = np.where(is_traded, ((bits >> np.uint64(48)) + np.uint64(1)).astype(np.int64), 0)
    running = np.cumsum(weights, axis=1)
    shares = running / np.maximum(running[:, -1:], 1)
    reached = np.floor(table[:, VOLUME, None] * shares).astype(np.int64)
    volumes = np.diff(reached, axis=1, prepend=0)
    return Minutes(columns + leg[0], opens, highs, lows, closes, volumes, is_traded)


def _traded_minutes(bits: Words, lengths: Integers, hole_rate: float) -> Flags:
    columns = np.arange(bits.shape[1])
    exists = columns < lengths[:, None]
    if not hole_rate:
        return exists
    # These bits are not used for the walk or the volume. A leg always trades in its first and last minute.
    chance = (bits >> np.uint64(40)) & np.uint64(0xFF)
    is_edge = (columns == 0) | (columns == lengths[:, None] - 1)
    is_traded: Flags = exists & (is_edge | (chance >= np.uint64(int(hole_rate * 256))))
    return is_traded


def _points(bits: Words, lengths: Integers, table: Integers) -> Integers:
    """Return the price before the first minute and after each minute, shaped (days, minutes + 1)."""
    n_days, n_minutes = bits.shape
    steps = (bits & np.uint64(0xFFFF)).astype(np.int64) - 32_768
    walk = np.cumsum(steps, axis=1)
    last = np.maximum(lengths - 1, 0)
    share = np.minimum(np.arange(1, n_minutes + 1) / np.maximum(lengths, 1)[:, None], 1.0)
    bridge = walk - walk[np.arange(n_days), last][:, None] * share
    first, final = table[:, OPEN, None], table[:, CLOSE, None]
    spread = (table[:, HIGH] - table[:, LOW]) / (27_000.0 * np.sqrt(np.maximum(lengths, 1)))
    path = np.rint(first + (final - first) * share + spread[:, None] * bridge).astype(np.int64)
    # Reflect the path at the day's low and high: a cut path would stay at its extremes for hours.
    low, high = table[:, LOW, None], table[:, HIGH, None]
    reach = np.maximum(high - low, 1)
    around = (path - low) % (2 * reach)
    path = np.minimum(low + np.minimum(around, 2 * reach - around), high)
    path = np.where(np.arange(n_minutes) >= lengths[:, None] - 1, final, path)
    return np.concatenate([np.broadcast_to(first, (n_days, 1)), path], axis=1)


def _extremes(
    bits: Words,
    opens: Integers,
    closes: Integers,
    is_traded: Flags,
    table: Integers,
) -> tuple[Integers, Integers]:
    top, bottom = table[:, HIGH, None], table[:, LOW, None]
    reach = top - bottom
    up = ((bits >> np.uint64(16)) & np.uint64(0xFF)).astype(np.int64) * reach >> 14
    down = ((bits >> np.uint64(24)) & np.uint64(0xFF)).astype(np.int64) * reach >> 14
    highs = np.minimum(np.maximum(opens, closes) + up, top)
    lows = np.maximum(np.minimum(opens, closes) - down, bottom)
    rows = np.arange(len(bits))
    highs[rows, np.where(is_traded, highs, -1).argmax(axis=1)] = table[:, HIGH]
    lows[rows, np.where(is_traded, lows, _NOTHING).argmin(axis=1)] = table[:, LOW]
    return highs, lows
