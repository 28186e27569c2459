"""Imports that die at any change of the disk: the next import of the file completes them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from datasets.archive.series_rows import folder_of
from datasets.bars import BAR_COLUMNS, IMPORTED, FetchedBars, Instrument
from datasets.bars.series_keys import SeriesKey
from datasets.importing.imports import import_bars
from datasets.models import Dataset, Series
from datasets.research import load
from datasets.storage.archives.archive_queries import read_range
from tests.support.archives import Crash, crash_at, plain_bars
from tests.support.factories import a_key, fetched_bars

pytestmark = pytest.mark.django_db

NOW = datetime(2025, 6, 1, tzinfo=UTC)


def a_file(table: pa.Table, *, after: int) -> FetchedBars:
    """Return the bars of a file that is imported some minutes after the first."""
    return fetched_bars(table, instrument=Instrument(), fetched_at=NOW + timedelta(minutes=after))


def test_an_import_that_dies_anywhere_is_completed_by_the_next(own_outputs: Path) -> None:
    number, has_died = 0, True
    while has_died:
        key = SeriesKey.of(a_key(source=IMPORTED, symbol=f"S{number}", exchange="TEST"))
        import_bars(key, a_file(plain_bars(range(0, 60)), after=0))
        later = plain_bars(range(40, 100))
        try:
            with crash_at(number):
                import_bars(key, a_file(later, after=1))
            has_died = False
        except Crash:
            rows = read_range(folder_of(key)).rows.select(BAR_COLUMNS)
            assert rows.num_rows in (60, 100)

        import_bars(key, a_file(later, after=2))

        rows = read_range(folder_of(key)).rows.select(BAR_COLUMNS)
        assert rows.equals(plain_bars(range(0, 100))), number
        series = Series.objects.get(symbol=f"S{number}")
        document = folder_of(key).document()
        assert document is not None
        assert (series.n_rows, series.sequence) == (100, document.sequence), number
        assert Dataset.objects.get(symbol=f"S{number}").n_rows == 100
        assert len(load(f"TEST:S{number}", source=IMPORTED, folder=own_outputs)) == 100
        number += 1
    assert number > 10
