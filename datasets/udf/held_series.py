"""The bars of a series that the service holds, for the datafeed: its archive, or else its dataset."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pyarrow as pa
from django.conf import settings

from datasets import catalog, serving
from datasets.archive.archive_bodies import ArchiveRequest
from datasets.archive.series_rows import folder_of
from datasets.bars import Timeframe
from datasets.bars.series_keys import SERIES_FIELDS
from datasets.models import Dataset, Fetch, Series, database
from datasets.serving.bars_request import BarsRequest
from datasets.serving.permissions import Caller
from datasets.serving.trust import Trusted
from datasets.udf.tickers import Ticker

# Seconds. The charting library shows nothing meanwhile.
WAIT_S = 10.0
# After a fetch that failed, the charting library's requests every few seconds start no other one.
_FETCH_AGAIN_AFTER = timedelta(hours=1)
_N_BARS = 5000

_trusted: Trusted[tuple[Ticker, Timeframe], HeldSeries] = Trusted()


@dataclass(frozen=True, slots=True)
class HeldSeries:
    """The row of a series, or of a dataset whose bars were not archived yet."""

    row: Series | Dataset

    @property
    def version(self) -> tuple[Any, ...]:
        """A value that changes with the bars."""
        if isinstance(self.row, Series):
            return ("series", self.row.pk, self.row.sequence, self.row.fetched_at)
        return ("dataset", self.row.pk, self.row.version, self.row.content_hash)

    @property
    def is_one_file(self) -> bool:
        """Whether `read` returns all bars that there are."""
        return isinstance(self.row, Dataset)

    @property
    def instrument(self) -> dict[str, Any]:
        """TradingView's facts of the instrument."""
        facts: dict[str, Any] = self.row.instrument
        return facts

    def read(
        self, *, start: datetime | None = None, end: datetime | None = None, n_bars: int
    ) -> pa.Table:
        """Return the newest `n_bars` bars that open from `start` (inclusive) to `end` (exclusive).

        A dataset's bars are all returned. Columns as `BAR_SCHEMA`, oldest bar first. Raises
        `StoreError`, `StoreUnavailable` and `StoreFailed`.
        """
        if isinstance(self.row, Dataset):
            return catalog.read(self.row)
        request = ArchiveRequest(start=start, end=end, n_bars=n_bars)
        return request.read(folder_of(self.row.series_key)).rows


def find_held(ticker: Ticker, timeframe: Timeframe) -> HeldSeries | None:
    """Return the series that is held, or None; it is trusted for `WEB_TRUST_MS`."""

    def look() -> HeldSeries | None:
        key = ticker.series_key(timeframe)
        series = Series.find(key)
        if series is not None:
            return HeldSeries(series)
        found = serving.find_cached(BarsRequest(key.dataset(1)))
        return None if found is None else HeldSeries(found.dataset)

    return _trusted.get((ticker, timeframe), look)


def held_or_fetched(ticker: Ticker, timeframe: Timeframe, caller: Caller) -> HeldSeries | None:
    """Return the series; the first request for one that is not held fetches it and waits `WAIT_S`.

    None while the fetch runs, and for an hour after a fetch that failed. Raises as
    `serving.find_answer`: `FetchError` when the fetch fails, `Forbidden` and `TooManyRequests`
    when the caller may not start it.
    """
    held = find_held(ticker, timeframe)
    if held is not None:
        return held
    key = ticker.series_key(timeframe)
    last = Fetch.objects.filter(**key.as_dict()).order_by("-pk").first()
    is_recent = last is not None and (
        last.finished_at is None or last.finished_at > database.shared_now() - _FETCH_AGAIN_AFTER
    )
    if is_recent:
        return None
    request = BarsRequest(key.dataset(min(_N_BARS, settings.TV_MAX_BARS)), wait_s=WAIT_S)
    serving.find_answer(request, via="api", by=caller.name, before_fetch=caller.require_fetch)
    return find_held(ticker, timeframe)


def newest_of(ticker: Ticker) -> HeldSeries | None:
    """Return the series of the ticker that was fetched last, of any timeframe, or None."""
    key = ticker.series_key(Timeframe.DAY_1).as_dict()
    fields = {name: key[name] for name in SERIES_FIELDS if name != "timeframe"}
    series = Series.objects.filter(**fields).order_by("-fetched_at").first()
    if series is not None:
        return HeldSeries(series)
    ready = Dataset.objects.filter(**fields, state=Dataset.State.READY)
    dataset = ready.order_by("-fetched_at").first()
    return None if dataset is None else HeldSeries(dataset)
