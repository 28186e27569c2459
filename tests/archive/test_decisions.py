"""Decisions of a person about revisions: new values accepted, older values kept."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest

from datasets.archive import decisions
from datasets.archive.series_rows import adopt_series
from datasets.catalog.outputs import get_store
from datasets.errors import InvalidRequest, StoreFailed
from datasets.models import Dataset, Revision, Series
from datasets.storage.archives.series_writer import SeriesWriter
from tests.support.archives import changed, plain_bars, scaled
from tests.support.arrivals import Arrivals

HOUR = timedelta(hours=1)
Decide = Callable[..., None]


@pytest.fixture
def arrivals(db: None) -> Arrivals:
    return Arrivals()


@pytest.fixture
def disputed(arrivals: Arrivals) -> Revision:
    """An open revision: a second fetch brought another close of hour 50."""
    arrivals.arrive(plain_bars(range(100)))
    arrivals.arrive(new_close())
    return arrivals.revision("unexplained")


@pytest.fixture
def vanished(arrivals: Arrivals) -> Revision:
    """An open revision: a second fetch lacked hour 50."""
    arrivals.arrive(plain_bars(range(100)))
    arrivals.arrive(without_hour_50())
    return arrivals.revision("vanished")


@pytest.fixture
def split(arrivals: Arrivals) -> Revision:
    """An open revision: prices of a second fetch, which reached less far back, are a quarter."""
    arrivals.arrive(plain_bars(range(100)))
    arrivals.arrive(scaled(plain_bars(range(40, 110)), 0.25, volume_factor=4))
    return arrivals.revision("ratio")


def new_close() -> pa.Table:
    return changed(plain_bars(range(100)), 50, close=77.7, low=70.0)


def without_hour_50() -> pa.Table:
    return pa.concat_tables([plain_bars(range(50)), plain_bars(range(51, 100))])


def stored_bars(dataset: Dataset) -> pa.Table:
    return get_store().read(dataset.path)[0]


def test_accepted_prices_are_in_the_archive_and_in_its_datasets(
    arrivals: Arrivals, disputed: Revision
) -> None:
    small = arrivals.arrive(new_close().slice(90), n_bars=60, after=HOUR)
    before = arrivals.now + HOUR

    decisions.accept_new(disputed, by="ada")

    assert arrivals.bars().equals(new_close())
    assert stored_bars(Dataset.objects.get(pk=small.pk)).equals(new_close().slice(40))
    assert stored_bars(Dataset.objects.get(n_bars=300)).equals(new_close())
    assert arrivals.bars(as_of=before).equals(plain_bars(range(100)))


def test_a_decision_is_recorded_with_its_user_and_its_time_also_in_the_files(
    arrivals: Arrivals, disputed: Revision
) -> None:
    decisions.keep_old(disputed, by="ada")

    assert (disputed.state, disputed.decided_by) == ("kept_old", "ada")
    assert disputed.decided_at is not None
    decided_at = disputed.decided_at
    Series.objects.all().delete()
    list(adopt_series())
    again = arrivals.revision("unexplained")
    assert (again.state, again.decided_by, again.decided_at) == ("kept_old", "ada", decided_at)
    assert (again.n_bars, again.found_at) == (1, disputed.found_at)


def test_kept_prices_stay_and_the_same_change_is_not_reported_again(
    arrivals: Arrivals, disputed: Revision
) -> None:
    decisions.keep_old(disputed, by="ada")
    for _ in range(3):
        arrivals.arrive(new_close())

    assert arrivals.bars().equals(plain_bars(range(100)))
    assert Revision.objects.count() == 1
    arrivals.arrive(changed(plain_bars(range(100)), 50, close=88.8, low=70.0))
    assert Revision.objects.count() == 2


def test_kept_bars_come_back_after_they_vanished_and_stay(
    arrivals: Arrivals, vanished: Revision
) -> None:
    assert arrivals.bars().equals(without_hour_50())

    decisions.keep_old(vanished, by="ada")

    assert arrivals.bars().equals(plain_bars(range(100)))
    assert stored_bars(Dataset.objects.get()).equals(plain_bars(range(100)))
    assert arrivals.bars(as_of=arrivals.now + HOUR).equals(without_hour_50())
    arrivals.arrive(without_hour_50())
    assert arrivals.bars().equals(plain_bars(range(100)))
    assert Revision.objects.count() == 1


def test_accepted_bars_that_vanished_stay_out_and_are_kept_as_revisions(
    arrivals: Arrivals, vanished: Revision
) -> None:
    before = arrivals.now - HOUR

    decisions.accept_new(vanished, by="ada")

    assert vanished.state == "accepted"
    assert arrivals.bars().equals(without_hour_50())
    assert arrivals.bars(as_of=before).equals(plain_bars(range(100)))


def test_an_accepted_split_brings_the_older_bars_back_rescaled(
    arrivals: Arrivals, split: Revision
) -> None:
    assert arrivals.bars().num_rows == 70

    decisions.accept_new(split, by="ada")

    rows = arrivals.bars()
    older = scaled(plain_bars(range(40)), 0.25, volume_factor=4)
    assert rows.num_rows == 110
    assert np.allclose(rows["close"].to_numpy()[:40], older["close"].to_numpy())
    assert np.allclose(rows["volume"].to_numpy()[:40], older["volume"].to_numpy())
    series = arrivals.series
    assert (split.state, series.is_awaiting, series.n_rows) == ("accepted", False, 110)
    # A later fetch confirms nothing more.
    arrivals.arrive(scaled(plain_bars(range(40, 110)), 0.25, volume_factor=4))
    assert arrivals.bars().num_rows == 110


def test_the_older_prices_of_a_split_cannot_be_kept(arrivals: Arrivals, split: Revision) -> None:
    with pytest.raises(InvalidRequest, match="The older bars are safe in generation 1"):
        decisions.keep_old(split, by="ada")

    split.refresh_from_db()
    assert (split.state, arrivals.bars().num_rows) == ("open", 70)


def test_the_newer_of_two_splits_is_decided_first(arrivals: Arrivals, split: Revision) -> None:
    arrivals.arrive(scaled(plain_bars(range(60, 120)), 0.125, volume_factor=8))
    second = arrivals.revision("ratio")

    with pytest.raises(InvalidRequest, match=f"by revision {second.number}"):
        decisions.accept_new(split, by="ada")
    decisions.accept_new(second, by="ada")
    decisions.accept_new(split, by="ada")

    closes = arrivals.bars()["close"].to_numpy()
    assert np.allclose(closes, plain_bars(range(120))["close"].to_numpy() * 0.125)


def test_bars_of_an_earlier_basis_do_not_come_back(arrivals: Arrivals, vanished: Revision) -> None:
    arrivals.arrive(scaled(plain_bars(range(110)), 0.25))

    with pytest.raises(InvalidRequest, match="basis of the prices has changed"):
        decisions.keep_old(vanished, by="ada")
    decisions.accept_new(vanished, by="ada")

    assert vanished.state == "accepted"


@pytest.mark.parametrize("decide", [decisions.accept_new, decisions.keep_old])
def test_a_revision_is_decided_once(disputed: Revision, decide: Decide) -> None:
    decisions.keep_old(disputed, by="ada")

    with pytest.raises(InvalidRequest, match="decided already by ada: kept_old"):
        decide(disputed, by="bob")


def test_a_decision_that_cannot_be_written_changes_nothing(
    arrivals: Arrivals, disputed: Revision, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: SeriesWriter) -> None:
        raise StoreFailed("The disk is full.")

    with monkeypatch.context() as patched:
        patched.setattr(SeriesWriter, "commit", full)
        with pytest.raises(StoreFailed):
            decisions.accept_new(disputed, by="ada")

    disputed.refresh_from_db()
    assert disputed.state == "open"
    assert arrivals.bars().equals(plain_bars(range(100)))
    assert stored_bars(Dataset.objects.get()).equals(plain_bars(range(100)))
    decisions.accept_new(disputed, by="ada")
    assert arrivals.bars().equals(new_close())


def test_a_pinned_dataset_stays_as_it_is_and_no_longer_answers(
    arrivals: Arrivals, disputed: Revision
) -> None:
    Dataset.objects.update(is_pinned=True)

    decisions.accept_new(disputed, by="ada")

    pinned = Dataset.objects.get()
    assert pinned.state == "superseded"
    assert stored_bars(pinned).equals(plain_bars(range(100)))


def test_a_decision_leaves_the_bars_before_a_hole_to_the_larger_dataset(arrivals: Arrivals) -> None:
    arrivals.arrive(plain_bars(range(100)), n_bars=100)
    later = plain_bars(range(150, 200))
    arrivals.arrive(later, n_bars=20)
    arrivals.arrive(changed(later, 40, close=177.7, high=180.0), n_bars=20)
    assert Dataset.objects.get(n_bars=100).n_rows == 100

    decisions.accept_new(arrivals.revision("unexplained"), by="ann")

    assert Dataset.objects.get(n_bars=100).n_rows == 100
    newest = get_store().read(Dataset.objects.get(n_bars=20).path)[0]
    assert newest["close"][10].as_py() == 177.7
