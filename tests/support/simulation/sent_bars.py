"""Bars as the feed sent them: read from the bytes of the socket, without the service's parser."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import orjson

from datasets.bars import DatasetKey, FetchedBars
from datasets.bars.series_keys import SeriesKey
from datasets.tradingview.client import FeedClient
from tests.support.archives import Row

_FRAME = re.compile(rb"~m~\d+~m~")


class SentBars:
    """All final bars that the feed has sent, by series, and the instants of its answers."""

    def __init__(self) -> None:
        self.final: dict[SeriesKey, set[Row]] = defaultdict(set)
        self.answered: dict[SeriesKey, list[datetime]] = defaultdict(list)
        self.n_calls = self.n_bars = self.n_bytes = 0

    def note(self, key: DatasetKey, messages: list[bytes]) -> None:
        """Keep the bars of one answer."""
        self.n_calls += 1
        series = SeriesKey.of(key)
        for message in messages:
            self.n_bytes += len(message)
            for payload in _FRAME.split(message):
                if b'"timescale_update"' in payload[:40]:
                    self._note_update(series, orjson.loads(payload))

    def _note_update(self, series: SeriesKey, update: dict[str, Any]) -> None:
        body = update["p"][1]["s1"]
        rows = [point["v"] for point in body["s"]]
        is_final = body["lbs"]["bar_close_time"] < update["t"]
        self.n_bars += len(rows)
        self.final[series].update(map(_as_row, rows if is_final else rows[:-1]))
        self.answered[series].append(datetime.fromtimestamp(update["t"], UTC))


def _as_row(values: list[float]) -> Row:
    volume = values[5] if len(values) > 5 else None
    return (datetime.fromtimestamp(values[0], UTC), *values[1:5], volume)


@contextmanager
def sent_bars() -> Iterator[SentBars]:
    """Keep all bars that the feed sends to this process inside the `with` block."""
    sent, fetch = SentBars(), FeedClient.fetch_bars

    def recorded(client: FeedClient, key: DatasetKey, **options: Any) -> FetchedBars:
        messages: list[bytes] = []
        keep: Callable[[bytes], None] = messages.append
        fetched = fetch(client, key, **options, on_message=keep)
        # Only answers that the service has accepted; an answer that it refuses is no bar to keep.
        sent.note(key, messages)
        return fetched

    with mock.patch.object(FeedClient, "fetch_bars", recorded):
        yield sent
