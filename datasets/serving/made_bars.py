"""Bars of a length that TradingView does not send, made of a dataset's bars."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from datasets.bars import BAR_SCHEMA, BarLength
from datasets.calendars import CALENDAR_FACTS, Calendar
from datasets.errors import InvalidRequest
from datasets.models import Dataset
from datasets.research import resample
from datasets.research.last_bars import closed_by, is_final


def make_longer(table: pa.Table, dataset: Dataset, length: BarLength) -> pa.Table:
    """Return the whole bars of `length` that the newest bars of a dataset add up to.

    `table` has `BAR_SCHEMA` and ends with the dataset's last bar; so has the result. Raises
    `InvalidRequest` where the exchange's hours are not known.
    """
    calendar = Calendar.of(dataset.instrument)
    if not calendar.is_known:
        message = f"Bars of {length.value} cannot be made. {calendar.why_unknown}"
        raise InvalidRequest({"timeframe": [message]})
    bars = table.to_pandas().set_index("time")
    facts = {
        "key": {"timeframe": dataset.timeframe},
        "instrument": dataset.instrument,
        "fetched_at": dataset.fetched_at.isoformat(),
        "last_time": bars.index[-1].isoformat(),
        "last_bar_final": dataset.last_bar_final,
    }
    edge = {"last": facts["last_time"]}
    if is_final(facts):
        edge["closed_by"] = datetime.fromtimestamp(closed_by(facts) / 1000, UTC).isoformat()
    else:
        edge["forming"] = facts["last_time"]
    bars.attrs.update(timeframe=dataset.timeframe, edge=edge)
    bars.attrs.update({name: dataset.instrument.get(name, "") for name in CALENDAR_FACTS})
    made = resample(bars, length.value).reset_index()
    return pa.Table.from_pandas(made[BAR_SCHEMA.names], schema=BAR_SCHEMA, preserve_index=False)
