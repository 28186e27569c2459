"""The arguments of `load`, `load_panel` and `catalog`, checked and turned into plain values."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd

from datasets.bars import BAR_COLUMNS, DatasetKey
from datasets.bars.age_limits import stale_for
from datasets.calendars import find_lag
from datasets.calendars.gap_findings import to_ms
from datasets.calendars.last_bars import holding_in
from datasets.errors import InvalidRequest
from datasets.research.folders import check_source

Instant = str | date | datetime | pd.Timestamp
Form = Literal["pandas", "arrow", "polars", "numpy"]
Fetching = Literal["never", "missing", "stale"]
Requirement = Literal["current"]
Unit = Literal["ms", "us", "ns"]

VALUE_COLUMNS = BAR_COLUMNS[1:]
CLOSE_TIME = "close_time"
_DAYS = {"1D": 1, "1W": 7, "1M": 31}


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a dataset: some columns, and the bars within [start, end) of its newest `n_bars`.

    The bounds are in ms; 0 for `n_bars` means all bars. A forming last bar counts among the
    newest, also where `closed` leaves that bar out.
    """

    columns: tuple[str, ...] = BAR_COLUMNS
    start_ms: int | None = None
    end_ms: int | None = None
    n_bars: int = 0
    closed: bool = True

    def bounds(self, times: npt.NDArray[np.int64], *, is_forming: bool) -> tuple[int, int]:
        """Return the first row of the part and the row after its last.

        `times` are the openings of all bars in ms; `is_forming` is about the last of them.
        """
        first = 0 if self.start_ms is None else int(np.searchsorted(times, self.start_ms))
        last = len(times) if self.end_ms is None else int(np.searchsorted(times, self.end_ms))
        if self.n_bars:
            first = max(first, len(times) - self.n_bars)
        if self.closed and is_forming:
            last = min(last, len(times) - 1)
        return first, max(first, last)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where bars come from: the folder of a source, or a service; and whether to fetch."""

    source: str | None
    folder: str | Path | None
    url: str | None
    token: str | tuple[str, str] | None = field(repr=False)
    fetch: Fetching

    def __post_init__(self) -> None:
        check_choice("fetch", self.fetch, get_args(Fetching))


def check_choice(name: str, value: str, allowed: Sequence[str]) -> None:
    """Raise `InvalidRequest` unless the argument `name` has one of the allowed values."""
    if value not in allowed:
        *others, last = allowed
        message = f"{value!r} is not allowed; use {', '.join(others)} or {last}."
        raise InvalidRequest({name: [message]})


def needs_fetch(key: DatasetKey, known: Mapping[str, Any] | None, fetch: Fetching) -> bool:
    """Return whether a dataset must be fetched by the argument `fetch` of `load`.

    `known` holds the facts of the dataset that exists, None where there is none. A dataset is
    stale when a bar has closed since its fetch; where the hours are not known, once the time of
    one bar has passed since its fetch.
    """
    if fetch == "never":
        return False
    if known is None or fetch == "missing":
        return known is None
    minutes = key.timeframe.minutes or _DAYS[key.timeframe.value] * 1440
    now = datetime.now(UTC)
    overdue_s = stale_for(datetime.fromisoformat(known["fetched_at"]), now, minutes * 60)
    lag = find_lag(holding_in(known), to_ms(now)) if known.get("last_time") else None
    # A dataset from the future was dated by a wrong clock.
    return overdue_s >= 0 if lag is None or math.isinf(overdue_s) else lag.n_unread > 0


def check_form(form: str, unit: str) -> None:
    """Raise `InvalidRequest` for an unknown value of `as_` or `unit`."""
    check_choice("as_", form, get_args(Form))
    check_choice("unit", unit, get_args(Unit))


def check_one_place(folder: str | Path | None, url: str | None) -> None:
    """Raise `InvalidRequest` where both a folder and a service are given."""
    if url is not None and folder is not None:
        message = "Files of a service are kept in a cache of their own; leave folder or url out."
        raise InvalidRequest({"folder": [message]})


def choose_columns(columns: str | Sequence[str] | None) -> tuple[str, ...]:
    """Return the named columns in their usual order; all but `close_time` for None."""
    if columns is None:
        return VALUE_COLUMNS
    names = (columns,) if isinstance(columns, str) else tuple(columns)
    allowed = (*VALUE_COLUMNS, CLOSE_TIME)
    wrong = [name for name in names if name not in allowed]
    if wrong:
        message = f"{wrong[0]!r} is no column; use some of {', '.join(allowed)}."
        raise InvalidRequest({"columns": [message]})
    return tuple(name for name in allowed if name in names)


def parse_key(
    source: str | None,
    symbol: str,
    timeframe: str,
    *,
    n_bars: int | None,
    session: str,
    adjustment: str,
) -> DatasetKey:
    """Return the dataset key for these arguments; None for `n_bars` becomes 0, any number.

    Raises `InvalidRequest`, also for a symbol without its exchange.
    """
    try:
        key = DatasetKey.parse(
            source=check_source(source),
            symbol=symbol,
            timeframe=timeframe,
            n_bars=1 if n_bars is None else n_bars,
            session=session,
            adjustment=adjustment,
        )
    except InvalidRequest as error:
        if list(error.errors) != ["exchange"]:
            raise
        message = f"{symbol!r} does not say which exchange; write it such as BINANCE:BTCUSDT."
        raise InvalidRequest({"symbol": [message]}) from None
    return key if n_bars is not None else replace(key, n_bars=0)


def to_number(n_bars: object) -> int | None:
    """Return `n_bars` as a plain int; raise `InvalidRequest` for any other type."""
    if n_bars is None:
        return None
    if not isinstance(n_bars, (int, np.integer)) or isinstance(n_bars, bool):
        raise InvalidRequest({"n_bars": [f"{n_bars!r} is no number of bars, such as 5000."]})
    return int(n_bars)


def to_instant(value: Instant | None, name: str) -> int | None:
    """Return an instant in ms since 1970, rounded up: no bar opens within a millisecond.

    UTC unless the value carries a time zone. Raises `InvalidRequest` under the argument's name.
    """
    if value is None:
        return None
    message = f"{value!r} is no instant, such as '2025-01-31' or '2025-01-31T14:30+01:00'."
    # pandas would take a number for nanoseconds since 1970.
    if isinstance(value, (int, float, np.number)):
        raise InvalidRequest({name: [message]})
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}(-[0-9]{2})?", value):
        value += "-01-01"[len(value) - 4 :]
    try:
        # Text must be ISO 8601: pandas would guess which number of 01/02/2025 is the month.
        moment = pd.Timestamp(datetime.fromisoformat(value) if isinstance(value, str) else value)
        if pd.isna(moment):
            raise ValueError(value)
        utc = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
        whole = utc.as_unit("ms")
    except (TypeError, ValueError) as error:
        raise InvalidRequest({name: [message]}) from error
    return round(whole.timestamp() * 1000) + (whole < utc)


def to_range(start: Instant | None, end: Instant | None) -> tuple[int | None, int | None]:
    """Return both ends of a range in ms since 1970; raise `InvalidRequest` for an end before the start."""
    start_ms, end_ms = to_instant(start, "start"), to_instant(end, "end")
    if start_ms is not None and end_ms is not None and end_ms < start_ms:
        raise InvalidRequest({"end": [f"{end!r} lies before start={start!r}."]})
    return start_ms, end_ms
