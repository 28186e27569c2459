"""The bars that a reply holds, and their trading days."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from datasets import catalog
from datasets.bars import BarLength
from datasets.calendars import Calendar, bar_days
from datasets.models import Dataset
from datasets.serving.bars_request import Answer, BarsRequest


def newest_bars(answer: Answer, request: BarsRequest) -> pa.Table:
    """Return the newest `n_bars` bars of the dataset; without the forming bar when `closed` is set."""
    dataset = answer.dataset
    table = catalog.read(dataset)
    table = table.slice(max(0, table.num_rows - request.key.n_bars))
    if request.made is not None:
        # pandas: 0.3 s and 50 MB, without which the other processes start.
        from datasets.research.resampling import make_table

        facts = {
            "key": dataset.key.as_dict(),
            "instrument": dataset.instrument,
            "fetched_at": dataset.fetched_at.isoformat(),
            "last_time": dataset.last_time.isoformat(),
            "last_bar_final": dataset.last_bar_final,
        }
        table = make_table(table, facts, request.made.length)
        return table.slice(max(0, table.num_rows - request.made.n_bars))
    if request.closed and dataset.last_bar_final is False and table.num_rows:
        table = table.slice(0, table.num_rows - 1)
    return table


def bars_between(table: pa.Table, start: datetime | None, end: datetime | None) -> pa.Table:
    """Return the bars that open at or after `start` and before `end`."""
    if start is not None:
        table = table.filter(pc.greater_equal(table["time"], _instant(start)))
    if end is not None:
        table = table.filter(pc.less(table["time"], _instant(end)))
    return table


def _instant(moment: datetime) -> pa.Scalar[Any]:
    # Microseconds: bounds may be finer than the milliseconds of the bars, and must not be rounded.
    return pa.scalar(moment.astimezone(UTC), type=pa.timestamp("us", tz="UTC"))


def is_last_bar_final(part: pa.Table, dataset: Dataset) -> bool | None:
    """Return whether the reply's last bar is final; None without bars, or when that is unknown."""
    if not part.num_rows:
        return None
    return True if part["time"][-1].as_py() < dataset.last_time else dataset.last_bar_final


def trading_days(table: pa.Table, dataset: Dataset, length: BarLength) -> dict[str, Any]:
    """Return the trading days of bars of `length`, in order: the page's labels, breaks and VWAP follow them.

    `first` are the positions of the days' first bars in the reply, and `date` the trading
    dates, `YYYY-MM-DD`. Where the exchange's hours are not known, dates are those of its clock.
    """
    times = table["time"].combine_chunks().view(pa.int64()).to_numpy()
    dates = bar_days(times, Calendar.of(dataset.instrument), length).dates
    first = np.flatnonzero(np.diff(dates, prepend=dates[:1] - 1))
    days = np.datetime_as_string(dates[first].view("M8[D]"))
    return {"first": first.tolist(), "date": days.tolist()}
