"""Repair of the catalog after a write that died between the archive's files and the rows."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from datasets.archive import series_rows
from datasets.archive.following.recovery import recover_archives, recover_series
from datasets.archive.series_rows import adopt_series
from datasets.bars import BAR_COLUMNS
from datasets.catalog.outputs import get_store
from datasets.models import Dataset, Revision
from datasets.storage.archives.archive_paths import STAGED
from datasets.storage.archives.archive_queries import read_newest
from datasets.storage.archives.revision_records import read_records
from datasets.storage.archives.series_writer import SeriesWriter
from tests.support.archives import changed, plain_bars
from tests.support.arrivals import Arrivals

pytestmark = pytest.mark.django_db(transaction=True)


class DatabaseAway(Exception):
    """The database went away before the commit."""


@pytest.fixture
def arrivals() -> Arrivals:
    return Arrivals()


@pytest.fixture
def behind(arrivals: Arrivals, monkeypatch: pytest.MonkeyPatch) -> Arrivals:
    """A series whose archive has a later fetch, with a dispute and new bars, than its rows and datasets."""
    arrivals.arrive(plain_bars(range(100)), n_bars=60)
    arrivals.arrive(plain_bars(range(100)), n_bars=20)
    _die_after_commit(monkeypatch)
    with pytest.raises(DatabaseAway):
        arrivals.arrive(changed(plain_bars(range(120)), 50, close=77.7, low=70.0), n_bars=60)
    monkeypatch.undo()
    return arrivals


def _die_after_commit(monkeypatch: pytest.MonkeyPatch) -> None:
    real = SeriesWriter.commit

    def commit(self: SeriesWriter) -> None:
        real(self)
        raise DatabaseAway

    monkeypatch.setattr(SeriesWriter, "commit", commit)


def check(arrivals: Arrivals) -> None:
    """Check that the rows and the datasets of the series are those of its archive."""
    folder, series = arrivals.folder, arrivals.series
    document = folder.document()
    assert document is not None
    assert (series.sequence, series.n_rows) == (document.sequence, document.n_rows)
    recorded = Revision.objects.order_by("number").values_list("number", "finding", "state")
    expected = [(each.number, each.finding, each.state.value) for each in read_records(folder)]
    assert list(recorded) == expected
    for dataset in Dataset.objects.all():
        table, stored = get_store().read(dataset.path)
        assert table.equals(read_newest(folder, dataset.n_bars).rows.select(BAR_COLUMNS))
        assert dataset.content_hash == stored.facts.content_hash


def test_rows_and_datasets_are_brought_to_the_archive(behind: Arrivals) -> None:
    assert behind.series.n_rows == 100
    assert not Revision.objects.exists()

    assert list(recover_archives()) == [behind.key]

    check(behind)
    assert behind.series.n_rows == 120
    assert Revision.objects.get().state == Revision.State.OPEN
    assert list(recover_archives()) == []


def test_one_series_is_brought_to_its_archive(behind: Arrivals) -> None:
    recover_series(behind.key)

    check(behind)


def test_the_next_fetch_records_the_findings_of_the_one_that_died(behind: Arrivals) -> None:
    behind.arrive(changed(plain_bars(range(130)), 50, close=77.7, low=70.0), n_bars=60)

    check(behind)
    revision = Revision.objects.get()
    assert (revision.state, revision.decided_by) == (Revision.State.ACCEPTED, "fetch")


def test_a_pinned_dataset_stays_as_it_is(behind: Arrivals) -> None:
    Dataset.objects.filter(n_bars=20).update(is_pinned=True)
    before = Dataset.objects.get(n_bars=20)

    list(recover_archives())

    after = Dataset.objects.get(n_bars=20)
    assert (after.content_hash, after.version) == (before.content_hash, before.version)


def test_files_of_a_write_that_died_first_are_removed(arrivals: Arrivals) -> None:
    arrivals.arrive(plain_bars(range(100)))
    staged = arrivals.folder.path / STAGED / f"{'0' * 64}.parquet"
    staged.write_bytes(b"half")
    earlier = arrivals.folder.path / "_generations" / "1"
    earlier.mkdir(parents=True)

    assert list(recover_archives()) == []

    assert not staged.exists()
    assert not earlier.exists()


def test_a_damaged_archive_does_not_keep_others_from_their_repair(
    behind: Arrivals, caplog: pytest.LogCaptureFixture
) -> None:
    other = Arrivals(symbol="AAAA")
    other.arrive(plain_bars(range(100)))
    (other.folder.path / "series.json").write_text("{")

    with caplog.at_level(logging.WARNING):
        assert list(recover_archives()) == [behind.key]

    assert "sample/NASDAQ_AAAA_1h was not repaired" in caplog.text


def test_a_rebuild_beside_a_fetch_does_not_bring_older_rows_back(
    arrivals: Arrivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrivals.arrive(plain_bars(range(100)))
    real = read_records

    def fetch_first(*arguments: Any) -> Any:
        monkeypatch.undo()
        arrivals.arrive(plain_bars(range(120)))
        return real(*arguments)

    # After the document is read, and before the rows are written.
    monkeypatch.setattr(series_rows, "read_records", fetch_first)
    findings = list(adopt_series())

    assert [finding.outcome for finding in findings] == ["adopted"]
    assert arrivals.series.n_rows == 120
    check(arrivals)
