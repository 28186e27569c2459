"""Gap reports in the catalog: made with each fetch, and on demand for rows that have none."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa

from datasets.bars import BarLength, DatasetKey, Instrument
from datasets.calendars import Calendar, Kind, Range, find_gaps, find_market, second_opinion
from datasets.catalog.records import record_report
from datasets.catalog.verification import read
from datasets.models import Dataset, DatasetGaps

_CONFIRMED = (Kind.CONFIRMED_EMPTY.value, Kind.NO_TRADING.value)


def make_report(
    key: DatasetKey, instrument: Instrument, table: pa.Table, fetched_at: datetime
) -> dict[str, Any]:
    """Return the gap report of a dataset's bars, in plain values for the catalog.

    Ranges that the fetch before left empty, and that this fetch leaves empty again, are
    confirmed. `looked_at` in the report is the time of the fetch.
    """
    market = find_market(key.exchange, instrument.type)
    report = find_gaps(
        table["time"].combine_chunks().view(pa.int64()).to_numpy(),
        Calendar.of(instrument.as_dict()),
        BarLength.parse(key.timeframe.value),
        opinion=second_opinion(market, table["time"][0].as_py().year) if market else None,
        looked_at=_empty_before(key, fetched_at),
    )
    return report.as_dict() | {"looked_at": fetched_at.isoformat()}


def _empty_before(key: DatasetKey, fetched_at: datetime) -> list[Range]:
    """Return the ranges without bars in the report of an earlier fetch, in UNIX ms.

    A report of the same fetch counts with what it had confirmed.
    """
    dataset = Dataset.objects.filter(**key.as_dict())
    earlier = DatasetGaps.objects.filter(dataset__in=dataset, looked_at__lte=fetched_at).first()
    if earlier is None:
        return []
    is_other = earlier.looked_at < fetched_at
    return [
        (_to_ms(finding["start"]), _to_ms(finding["end"]))
        for finding in earlier.report["findings"]
        if is_other or finding["kind"] in _CONFIRMED
    ]


def _to_ms(text: str) -> int:
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def gap_report(dataset: Dataset) -> dict[str, Any]:
    """Return the gap report of a dataset; make and store it where the catalog has none.

    Rows of version 0.3.0 have none, and rows that were built from their files. Raises the
    errors of `read`.
    """
    stored = DatasetGaps.objects.filter(dataset=dataset, looked_at=dataset.fetched_at).first()
    if stored is not None:
        return dict(stored.report)
    table = read(dataset)
    instrument = Instrument.from_dict(dataset.instrument)
    report = make_report(dataset.key, instrument, table, dataset.fetched_at)
    record_report(dataset.pk, report)
    dataset.refresh_from_db(fields=["coverage"])
    return report
