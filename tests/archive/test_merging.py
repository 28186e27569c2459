"""Merges into an archive: what comes, what leaves, and how a split goes through it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets.archive.audit import Finding
from datasets.archive.merging import WindowNeeded
from datasets.bars import BAR_COLUMNS, Timeframe
from datasets.errors import FileMissing
from datasets.storage import status_of
from datasets.storage.archives.archive_files import times_of
from datasets.storage.archives.archive_queries import read_newest
from datasets.storage.archives.revision_records import RevisionState, read_records
from datasets.storage.archives.series_document import DOCUMENT_NAME, Hole
from tests.support.archives import (
    AAPL,
    FIRST_HOUR,
    Archive,
    bars_of,
    changed,
    plain_bars,
    rows_of,
    scaled,
    without,
)

HOUR = timedelta(hours=1)


def opening(hour: int) -> datetime:
    return datetime.fromtimestamp(FIRST_HOUR, UTC) + hour * HOUR


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


# --- bars come ---------------------------------------------------------------------------


def test_a_window_that_slides_leaves_the_older_bars(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 60)))
    archive.merge(plain_bars(range(40, 100)))

    assert archive.bars().equals(plain_bars(range(0, 100)))
    assert archive.revisions() == []


def test_bars_lie_in_one_file_a_year_with_their_symbol(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 100)))

    names = [entry.name for entry in archive.document.files]
    table = pq.read_table(archive.folder.path / "2024.parquet")
    assert names == ["2024.parquet", "2025.parquet"]
    assert table.num_rows == 48
    assert table.column_names == [*BAR_COLUMNS, "seen_at", "symbol", "timeframe"]
    assert set(table["symbol"].to_pylist()) == {"NASDAQ:AAPL"}
    assert set(table["timeframe"].to_pylist()) == {"1h"}
    assert archive.in_glob() == rows_of(archive.bars())


def test_days_lie_in_one_file(tmp_path: Path) -> None:
    archive = Archive(tmp_path, timeframe="1D")
    days = plain_bars(range(0, 100))
    archive.merge(days)

    assert archive.key.timeframe is Timeframe.DAY_1
    assert [entry.name for entry in archive.document.files] == ["all.parquet"]


def test_only_the_year_that_changes_is_written(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 60)))
    before = status_of(archive.folder.path / "2024.parquet")
    archive.merge(plain_bars(range(40, 100)))

    assert status_of(archive.folder.path / "2024.parquet") == before


def test_a_bar_is_seen_when_its_values_first_came(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 60)))
    first = archive.now
    archive.merge(plain_bars(range(40, 100)))

    rows = read_newest(archive.folder, 41).rows
    assert rows["seen_at"].to_pylist() == [first] + [archive.now] * 40


def test_bars_between_two_windows_are_a_hole_until_a_fetch_covers_them(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 20)))
    archive.merge(plain_bars(range(50, 70)))
    hole = Hole(opening(19), opening(50))

    assert list(archive.document.holes) == [hole]
    assert "window_slid" in (archive.folder.path / DOCUMENT_NAME).read_text()
    archive.merge(plain_bars(range(15, 70)))

    assert archive.document.holes == ()
    assert archive.bars().equals(plain_bars(range(0, 70)))


def test_an_older_fetch_that_comes_late_adds_bars_and_replaces_none(archive: Archive) -> None:
    archive.merge(plain_bars(range(30, 60)))
    late = changed(plain_bars(range(20, 60)), 39, close=1.5)
    archive.merge(late, after=-HOUR)

    assert archive.bars().equals(plain_bars(range(20, 60)))
    assert [row["reason"] for row in archive.revisions()] == ["late"]
    assert set(rows_of(late)) <= archive.kept()
    archive.merge(plain_bars(range(0, 10)), after=-HOUR)

    assert archive.bars().num_rows == 50
    assert archive.document.holes == (Hole(opening(9), opening(20)),)


# --- bars change -------------------------------------------------------------------------


def test_the_bar_that_was_forming_is_replaced_when_it_has_closed(archive: Archive) -> None:
    forming = changed(plain_bars(range(0, 50)), 49, close=100.01)
    archive.merge(forming, last_bar_final=False)
    plan = archive.merge(plain_bars(range(30, 51)))

    assert plan.finding is Finding.CLOSED
    assert archive.bars().equals(plain_bars(range(0, 51)))
    (row,) = archive.revisions()
    assert (row["time"], row["close"], row["reason"]) == (opening(49), 100.01, "closed")
    assert not row["is_final"]
    assert archive.document.forming == ()
    assert read_records(archive.folder) == []


def test_a_corrected_volume_is_taken_and_recorded(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 50)))
    corrected = changed(plain_bars(range(30, 50)), 3, volume=7.0)
    archive.merge(corrected)

    assert archive.bars().slice(30).equals(corrected)
    (record,) = read_records(archive.folder)
    assert (record.finding, record.state, record.n_bars) == ("volume", RevisionState.ACCEPTED, 1)
    (row,) = archive.revisions()
    assert (row["volume"], row["revision"]) == (1033.0, record.number)


def test_an_unexplained_price_waits_for_a_second_fetch(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 50)))
    odd = changed(plain_bars(range(30, 50)), 3, close=100.5)
    archive.merge(odd)

    assert archive.bars().equals(plain_bars(range(0, 50)))
    assert read_records(archive.folder)[0].state is RevisionState.OPEN
    assert set(rows_of(odd)) <= archive.kept()
    archive.merge(odd)

    assert archive.bars().slice(30).equals(odd)
    (record,) = read_records(archive.folder)
    assert (record.finding, record.state) == ("unexplained", RevisionState.ACCEPTED)
    assert (record.n_bars, record.decided_by) == (1, "fetch")
    assert archive.document.disputes == ()
    assert set(rows_of(plain_bars(range(0, 50)))) <= archive.kept()


def test_an_unexplained_price_that_returns_keeps_the_older_bar(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 50)))
    archive.merge(changed(plain_bars(range(30, 50)), 3, close=100.5))
    archive.merge(plain_bars(range(30, 50)))

    assert archive.bars().equals(plain_bars(range(0, 50)))
    assert read_records(archive.folder)[0].state is RevisionState.KEPT_OLD
    assert archive.document.disputes == ()


def test_a_bar_that_vanishes_stands_in_the_revisions(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 50)))
    hours = [hour for hour in range(30, 50) if hour != 40]
    archive.merge(plain_bars(range(0, 50)).take([*hours]))

    assert archive.bars().num_rows == 49
    (row,) = archive.revisions()
    assert (row["time"], row["reason"]) == (opening(40), "vanished")
    assert read_records(archive.folder)[0].state is RevisionState.OPEN


def test_many_revisions_fill_one_segment_after_the_other(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasets.storage.archives.series_writer._ROWS_PER_SEGMENT", 3)
    archive.merge(plain_bars(range(0, 50)))
    for number in range(8):
        archive.merge(changed(plain_bars(range(30, 50)), 3, volume=float(number)))

    assert [entry.n_rows for entry in archive.document.revision_files] == [3, 3, 2]
    assert [record.number for record in read_records(archive.folder)] == list(range(1, 9))


# --- the basis changes -------------------------------------------------------------------


def split(hours: range) -> pa.Table:
    return scaled(plain_bars(hours), 0.25, volume_factor=4)


def test_a_split_needs_the_whole_window_and_changes_nothing_before(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 60)))
    before = archive.document

    with pytest.raises(WindowNeeded) as caught:
        archive.merge(split(range(50, 62)), is_whole_window=False)

    assert caught.value.finding is Finding.RATIO
    assert archive.document == before


def test_a_split_begins_a_generation_and_no_answer_mixes_two_bases(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 60)))
    plan = archive.merge(split(range(40, 62)))

    assert plan.finding is Finding.RATIO
    assert archive.bars().equals(split(range(40, 62)))
    assert archive.document.generation.number == 2
    assert archive.document.generation.basis.factor == pytest.approx(0.25)
    assert archive.in_glob() == rows_of(split(range(40, 62)))
    assert archive.folder.earlier(1).document() is not None
    assert set(rows_of(plain_bars(range(0, 60)))) <= archive.kept()
    assert read_records(archive.folder)[0].state is RevisionState.OPEN


def test_older_bars_are_rescaled_when_a_fetch_an_hour_later_confirms_the_split(
    archive: Archive,
) -> None:
    archive.merge(plain_bars(range(0, 60)))
    archive.merge(split(range(40, 62)))
    archive.merge(split(range(41, 62)), after=timedelta(minutes=59))

    assert archive.bars().num_rows == 22
    archive.merge(split(range(41, 63)), after=timedelta(minutes=2))

    assert archive.bars().equals(split(range(0, 63)))
    assert archive.document.holes == ()
    (older,) = archive.document.rescaled
    assert (older.generation, older.before) == (1, opening(40))
    assert older.basis.factor == pytest.approx(0.25)
    assert archive.document.awaiting == ()
    assert read_records(archive.folder)[0].state is RevisionState.ACCEPTED
    metadata = pq.read_schema(archive.folder.path / "2024.parquet").metadata or {}
    facts = json.loads(metadata[b"tradingview_archive"])
    assert facts["rescaled"][0]["factor"] == pytest.approx(0.25)


def test_a_split_that_was_taken_back_gives_the_older_bars_as_they_were(archive: Archive) -> None:
    whole = plain_bars(range(0, 60))
    archive.merge(whole)
    archive.merge(split(range(40, 62)))
    archive.merge(plain_bars(range(42, 63)))
    archive.merge(plain_bars(range(42, 63)))

    prices = np.column_stack([archive.bars()[name].to_numpy() for name in BAR_COLUMNS[1:]])
    expected = plain_bars(range(0, 63))
    assert archive.document.generation.number == 3
    assert np.allclose(prices, np.column_stack([expected[n].to_numpy() for n in BAR_COLUMNS[1:]]))


def test_two_splits_before_a_confirmation_rescale_each_part_by_its_own_factor(
    archive: Archive,
) -> None:
    archive.merge(plain_bars(range(0, 60)))
    archive.merge(split(range(30, 61)))
    twice = scaled(split(range(40, 62)), 0.5, volume_factor=2)
    archive.merge(twice)
    archive.merge(twice)

    expected = scaled(plain_bars(range(0, 62)), 0.125, volume_factor=8)
    assert archive.bars()["time"].equals(expected["time"])
    for name in BAR_COLUMNS[1:]:
        assert np.allclose(archive.bars()[name].to_numpy(), expected[name].to_numpy()), name


def test_a_hole_of_the_older_bars_is_known_again_after_they_are_rescaled(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 10)))
    archive.merge(plain_bars(range(20, 60)))
    archive.merge(split(range(40, 62)))
    archive.merge(split(range(40, 62)))

    assert archive.document.holes == (Hole(opening(9), opening(20)),)
    assert archive.bars().num_rows == 52


def test_another_feed_begins_a_generation_that_older_bars_never_join(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 60)))
    other = plain_bars(range(40, 62), level=100.5)
    bats = without(AAPL, full_name="BATS:AAPL")
    archive.merge(other, instrument=bats)
    archive.merge(other, instrument=bats)

    assert archive.bars().equals(other)
    assert archive.document.generation.finding == "feed_changed"
    assert archive.document.awaiting == ()
    assert set(rows_of(plain_bars(range(0, 60)))) <= archive.kept()


def test_the_archives_are_one_table_for_sql_as_documented(tmp_path: Path) -> None:
    apple, other = Archive(tmp_path), Archive(tmp_path, symbol="MSFT", timeframe="1D")
    apple.merge(plain_bars(range(0, 60)))
    apple.merge(split(range(40, 62)))
    other.merge(plain_bars(range(0, 30)))

    bars = pl.scan_parquet(tmp_path / "sample" / "*" / "*.parquet").collect()

    counts = bars.group_by("symbol", "timeframe").len().sort("symbol").rows()
    assert counts == [("NASDAQ:AAPL", "1h", 22), ("NASDAQ:MSFT", "1D", 30)]
    assert bars.select("symbol", "timeframe", "time").is_unique().all()


# --- as of -------------------------------------------------------------------------------


def test_bars_are_read_as_they_were_known_at_an_instant(archive: Archive) -> None:
    instants, states = [], []
    forming = changed(plain_bars(range(0, 50)), 49, close=100.01)
    for table in (
        forming,
        plain_bars(range(30, 55)),
        changed(plain_bars(range(30, 55)), 3, volume=7.0),
        changed(plain_bars(range(30, 56)), 5, close=100.9),
        changed(plain_bars(range(30, 56)), 5, close=100.9),
        split(range(45, 57)),
        split(range(45, 57)),
        split(range(45, 60)),
    ):
        archive.merge(table, last_bar_final=table is not forming)
        instants.append(archive.now)
        states.append(archive.bars())

    for instant, state in zip(instants, states, strict=True):
        assert archive.bars(as_of=instant).equals(state)
        assert archive.bars(as_of=instant + timedelta(hours=23)).equals(state)
        newest = read_newest(archive.folder, 7, as_of=instant).rows
        assert newest.select(BAR_COLUMNS).equals(state.slice(state.num_rows - 7))
    with pytest.raises(FileMissing, match="its archive begins at"):
        archive.bars(as_of=instants[0] - HOUR)


def test_a_range_has_its_start_and_not_its_end(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 100)))

    assert archive.bars(start=opening(40), end=opening(60)).equals(plain_bars(range(40, 60)))
    assert archive.bars(end=opening(1)).num_rows == 1
    assert archive.bars(start=opening(100)).num_rows == 0


def test_a_range_of_a_large_file_decodes_few_row_groups(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    minutes = bars_of(
        {number: (1.0, 1.0, 1.0, 1.0, float(number)) for number in range(60_000)},
        first=int(datetime(2025, 1, 1, tzinfo=UTC).timestamp()), step=60,
    )  # fmt: skip
    archive.merge(minutes)
    decoded: list[int] = []
    real = pq.ParquetFile.read_row_groups

    def counted(file: pq.ParquetFile, groups: list[int], **options: object) -> object:
        decoded.extend(groups)
        return real(file, groups, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", counted)
    middle = datetime(2025, 1, 20, tzinfo=UTC)
    found = archive.bars(start=middle, end=middle + timedelta(minutes=1000))

    assert found.num_rows == 1000
    assert len(decoded) == 1
    decoded.clear()
    newest = read_newest(archive.folder, 500).rows
    assert times_of(newest).tolist() == times_of(minutes)[-500:].tolist()
    assert len(decoded) == 1
