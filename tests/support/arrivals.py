"""Arrivals for tests: fetches of one series that are merged and recorded as a worker does it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from django.db import transaction

from datasets.archive.arrivals import prepared_arrival
from datasets.archive.series_rows import folder_of
from datasets.bars import BAR_COLUMNS
from datasets.bars.series_keys import SeriesKey
from datasets.models import Dataset, Fetch, Revision, Series
from datasets.storage.archives.archive_queries import read_range
from datasets.storage.archives.series_folder import SeriesFolder
from tests.support.archives import AAPL, FIRST_FETCH
from tests.support.factories import a_key, fetched_bars


class Arrivals:
    """The fetches of one series, a day apart, with their rows in the catalog."""

    def __init__(self, **key: Any) -> None:
        self.values = {"symbol": "AAPL", "exchange": "NASDAQ"} | key
        self.now: datetime = FIRST_FETCH

    @property
    def key(self) -> SeriesKey:
        return SeriesKey.of(a_key(**self.values))

    @property
    def folder(self) -> SeriesFolder:
        return folder_of(self.key)

    @property
    def series(self) -> Series:
        found = Series.find(self.key)
        assert found is not None
        return found

    def arrive(
        self,
        table: pa.Table,
        *,
        n_bars: int = 300,
        after: timedelta = timedelta(days=1),
        **reply: Any,
    ) -> Dataset:
        """Merge and record one fetch of a whole window; return its dataset."""
        self.now += after
        key = a_key(**self.values, n_bars=n_bars)
        values = {"fetched_at": self.now, "instrument": AAPL} | reply
        fetch = Fetch.objects.create(**key.as_dict(), requested_via="command", state="succeeded")
        with (
            prepared_arrival(key, fetched_bars(table, **values), is_whole_window=True) as new,
            transaction.atomic(),
        ):
            recorded = new.put_in_place(fetch_id=fetch.pk)
        Fetch.objects.filter(pk=fetch.pk).update(
            series_id=recorded.series_id, dataset_id=recorded.dataset_id, n_rows=recorded.n_rows
        )
        return Dataset.objects.get(pk=recorded.dataset_id)

    def bars(self, **query: Any) -> pa.Table:
        """Return the archive's bars of a range."""
        return read_range(self.folder, **query).rows.select(BAR_COLUMNS)

    def revision(self, finding: str) -> Revision:
        """Return the newest revision of this class."""
        found = Revision.objects.filter(series=self.series, finding=finding).first()
        assert found is not None
        return found
