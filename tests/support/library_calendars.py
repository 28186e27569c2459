"""Calendars in the feed's own form, made of the sessions of `exchange_calendars`."""

from __future__ import annotations

import warnings
from collections import Counter
from dataclasses import dataclass

import exchange_calendars
import numpy as np
import pandas as pd

from datasets.calendars import Calendar


@dataclass(frozen=True)
class Comparison:
    """Dates, openings, closes and breaks of one market: cells compared, and those that differ."""

    market: str
    n_cells: int
    n_differing: int
    first_difference: str


def compare(market: str) -> Comparison:
    """Write a market's sessions as session string, holidays and corrections, and read them again."""
    with warnings.catch_warnings():
        # The library has not followed pandas' newest names yet.
        warnings.simplefilter("ignore")
        library = exchange_calendars.get_calendar(market)
        schedule, zone = library.schedule, str(library.tz)
    local = {name: schedule[name].dt.tz_convert(zone) for name in schedule.columns}
    texts = [
        _hours(*row) for row in zip(*(local[name] for name in local), schedule.index, strict=True)
    ]
    usual = Counter(texts).most_common(1)[0][0]
    dates = schedule.index
    trading = set(dates)
    weekdays = pd.bdate_range(dates[0], dates[-1])
    holidays = ",".join(f"{day:%Y%m%d}" for day in weekdays if day not in trading)
    special: dict[str, list[str]] = {}
    for day, text in zip(dates, texts, strict=True):
        if text != usual or day.weekday() >= 5:
            special.setdefault(text, []).append(f"{day:%Y%m%d}")
    corrections = ";".join(f"{text}:{','.join(days)}" for text, days in special.items())
    calendar = Calendar(usual, zone, holidays=holidays, corrections=corrections)
    bounds = [dates[0] - pd.Timedelta("1D"), schedule["close"].iloc[-1]]
    found = calendar.sessions(*(int(bound.timestamp() * 1000) for bound in bounds))
    return _differences(market, schedule, found.dates, found.opens, found.closes)


def _hours(
    opened: pd.Timestamp,
    rest: pd.Timestamp,
    again: pd.Timestamp,
    closed: pd.Timestamp,
    day: pd.Timestamp,
) -> str:
    """Return one day's hours as a session string; `rest` is not a time on a day without a break."""
    stops = [opened, rest, again, closed] if rest == rest else [opened, closed]
    clocks = [f"{stop:%H%M}" + ("F1" if stop.date() < day.date() else "") for stop in stops]
    return ",".join(f"{start}-{end}" for start, end in zip(clocks[::2], clocks[1::2], strict=True))


def _differences(
    market: str,
    schedule: pd.DataFrame,
    dates: np.ndarray,
    opens: np.ndarray,
    closes: np.ndarray,
) -> Comparison:
    ours = pd.DataFrame(
        {"open": opens, "close": closes}, index=pd.DatetimeIndex(dates.view("M8[D]"))
    )
    theirs = pd.DataFrame(
        {
            name: schedule[name].dt.tz_convert(None).to_numpy().astype("M8[ms]").astype(np.int64)
            for name in ("open", "close")
        },
        index=schedule.index,
    )
    joined = ours.add_suffix("_ours").join(theirs.add_suffix("_theirs"), how="outer")
    wrong = [joined[f"{name}_ours"] != joined[f"{name}_theirs"] for name in ("open", "close")]
    n_differing = int(sum(one.sum() for one in wrong))
    either = wrong[0] | wrong[1]
    first = str(joined[either].head(1).to_dict("index")) if n_differing else ""
    return Comparison(market, 2 * len(joined), n_differing, first)
