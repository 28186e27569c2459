"""Faults of the numbers: each function changes the true bars to the bars that are sent."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from samplefeed.faults.registry import Talk, add
from samplefeed.reply import Reply

Rows = list[list[Any]]

# Placeholders for numbers that a JSON encoder does not write in this form.
NAN, INFINITY, NO_VALUE = "@NaN@", "@Infinity@", "@1e+100@"
_LOW, _CLOSE, _VOLUME = 3, 4, 5
_SIXTY_YEARS = 21_915 * 86_400
_TEN_YEARS = 3_653 * 86_400

_CHANGES: dict[str, Callable[[Rows], Rows]] = {}


def altered_rows(name: str, rows: Rows) -> Rows:
    """Return the bars that the fault sends instead of `rows`; most faults change the middle bar."""
    return _CHANGES[name]([list(row) for row in rows])


def _bars_fault(sentence: str) -> Callable[[Callable[[Rows], Rows]], Callable[[Rows], Rows]]:
    def enter(change: Callable[[Rows], Rows]) -> Callable[[Rows], Rows]:
        name = getattr(change, "__name__", "")
        _CHANGES[name] = change

        async def run(talk: Talk) -> None:
            reply = with_raw_numbers(talk.reply.with_rows(altered_rows(name, talk.rows())))
            if name == "before_1970":
                talk.forget_older()
                close_at = None if reply.close_at is None else reply.close_at - _SIXTY_YEARS
                reply = replace(reply, close_at=close_at)
            await talk.channel.send(*reply.payloads())

        add(name, sentence, run)
        return change

    return enter


def with_raw_numbers(reply: Reply) -> Reply:
    """Return the reply with the placeholders replaced by their numbers."""
    rows = reply.bars.rows
    for mark in (NAN, INFINITY, NO_VALUE):
        rows = rows.replace(f'"{mark}"'.encode(), mark.strip("@").encode())
    return replace(reply, bars=replace(reply.bars, rows=rows))


def _with_close(rows: Rows, value: Any) -> Rows:
    rows[len(rows) // 2][_CLOSE] = value
    return rows


@_bars_fault("The close of the middle bar is NaN.")
def nan_price(rows: Rows) -> Rows:
    return _with_close(rows, NAN)


@_bars_fault("The close of the middle bar is Infinity.")
def infinite_price(rows: Rows) -> Rows:
    return _with_close(rows, INFINITY)


@_bars_fault("The close of the middle bar is 1e+100, TradingView's “no value”.")
def sentinel_price(rows: Rows) -> Rows:
    return _with_close(rows, NO_VALUE)


@_bars_fault("The volume of the middle bar is 1e+100, TradingView's “no value”.")
def sentinel_volume(rows: Rows) -> Rows:
    rows[len(rows) // 2][_VOLUME:] = [NO_VALUE]
    return rows


@_bars_fault("The close of the middle bar is null.")
def null_price(rows: Rows) -> Rows:
    return _with_close(rows, None)


@_bars_fault("The close of the middle bar is a string.")
def string_price(rows: Rows) -> Rows:
    return _with_close(rows, str(rows[len(rows) // 2][_CLOSE]))


@_bars_fault("The middle bar has four numbers: close and volume are missing.")
def missing_price(rows: Rows) -> Rows:
    del rows[len(rows) // 2][_CLOSE:]
    return rows


@_bars_fault("The time of the middle bar has half a second.")
def fractional_time(rows: Rows) -> Rows:
    rows[len(rows) // 2][0] += 0.5
    return rows


@_bars_fault("The middle bar opens seven seconds late.")
def odd_seconds(rows: Rows) -> Rows:
    rows[len(rows) // 2][0] += 7
    return rows


@_bars_fault("The middle bar opens seven minutes late.")
def off_grid(rows: Rows) -> Rows:
    rows[len(rows) // 2][0] += 420
    return rows


@_bars_fault("All bars open seven minutes late.")
def shifted_grid(rows: Rows) -> Rows:
    return [[row[0] + 420, *row[1:]] for row in rows]


@_bars_fault("All bars are moved ten years ahead, into the future.")
def future_bars(rows: Rows) -> Rows:
    return [[row[0] + _TEN_YEARS, *row[1:]] for row in rows]


@_bars_fault("The volume of the middle bar is below zero.")
def negative_volume(rows: Rows) -> Rows:
    rows[len(rows) // 2][_VOLUME] = -1.0
    return rows


@_bars_fault("The low of the middle bar is zero.")
def zero_price(rows: Rows) -> Rows:
    rows[len(rows) // 2][_LOW] = 0.0
    return rows


@_bars_fault("Every third bar has no volume: five numbers among bars of six.")
def mixed_volume(rows: Rows) -> Rows:
    return [row[:_VOLUME] if number % 3 == 1 else row for number, row in enumerate(rows)]


@_bars_fault("Every bar has a seventh number, open interest; valid.")
def seven_numbers(rows: Rows) -> Rows:
    return [[*row, 1000.0 + number] for number, row in enumerate(rows)]


@_bars_fault("The middle bar's high is below its low.")
def inconsistent_bars(rows: Rows) -> Rows:
    middle = rows[len(rows) // 2]
    middle[2], middle[3] = middle[3] - 1.0, middle[2] + 1.0
    return rows


@_bars_fault("All prices are below zero; valid, as oil was in April 2020.")
def negative_prices(rows: Rows) -> Rows:
    shift = 2.0 * max(row[2] for row in rows)
    return [[row[0], *(price - shift for price in row[1:5]), *row[5:]] for row in rows]


@_bars_fault("All bars are moved sixty years back, most before 1970; valid.")
def before_1970(rows: Rows) -> Rows:
    return [[row[0] - _SIXTY_YEARS, *row[1:]] for row in rows]
