"""Property of the archive: whatever arrives in whatever order, and wherever a process dies, no final bar is lost."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.archive.preparation import prepared
from datasets.storage.archives.archive_files import times_of
from tests.support.archives import (
    AAPL,
    Archive,
    Crash,
    Row,
    bars_of,
    crash_at,
    final_rows,
    plain_bar,
    rows_of,
)

# More of them: ARCHIVE_EXAMPLES=2000 pytest tests/archive/test_no_bar_is_lost.py
N_EXAMPLES = int(os.environ.get("ARCHIVE_EXAMPLES", "40"))
N_HOURS = 72


@dataclass(frozen=True)
class Reply:
    """One reply of the feed: a window with holes, after some bars were revised or the basis changed."""

    first: int
    length: int
    missing: frozenset[int]
    revised: frozenset[int]
    factor: float
    is_other_feed: bool
    is_last_final: bool
    hours_later: int
    crash: int | None


REPLIES = st.builds(
    Reply,
    first=st.integers(0, N_HOURS - 1),
    length=st.integers(1, N_HOURS),
    missing=st.frozensets(st.integers(0, N_HOURS), max_size=4),
    revised=st.frozensets(st.integers(0, N_HOURS), max_size=3),
    factor=st.sampled_from([1.0, 1.0, 1.0, 1.0, 0.25, 0.98]),
    is_other_feed=st.sampled_from([False] * 9 + [True]),
    is_last_final=st.booleans(),
    # A clock that was put back, and two workers, bring older fetches after newer ones.
    hours_later=st.sampled_from([-30, -1, 0, 1, 24]),
    crash=st.one_of(st.none(), st.integers(0, 40)),
)


class Feed:
    """The feed's bars, which replies revise and rescale."""

    def __init__(self) -> None:
        self.rows = {hour: plain_bar(hour) for hour in range(N_HOURS)}
        self.instrument = AAPL

    def table_of(self, reply: Reply):  # type: ignore[no-untyped-def]
        if reply.factor != 1:
            for hour in range(reply.first + reply.length // 2):
                if hour in self.rows:
                    *prices, volume = self.rows[hour]
                    scaled = (round(price * reply.factor, 6) for price in prices)
                    self.rows[hour] = (*scaled, volume)  # type: ignore[assignment]
        for hour in reply.revised & self.rows.keys():
            opens, high, low, close, volume = self.rows[hour]
            self.rows[hour] = (opens, high, low, round(close + 0.01, 6), volume + hour % 2)
        if reply.is_other_feed:
            self.instrument = replace(AAPL, full_name=f"BATS:{reply.hours_later}")
        hours = set(range(reply.first, reply.first + reply.length)) & self.rows.keys()
        return bars_of({hour: self.rows[hour] for hour in (hours - reply.missing) or hours})


@settings(max_examples=N_EXAMPLES)
@given(st.lists(REPLIES, min_size=2, max_size=7))
def test_every_final_bar_that_was_received_is_in_the_archive_or_in_what_left_it(
    replies: list[Reply],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive, feed = Archive(Path(folder)), Feed()
        received: set[Row] = set()
        for reply in replies:
            received |= _receive(archive, feed, reply)
            if archive.folder.document() is not None:
                _check(archive, received)


def _receive(archive: Archive, feed: Feed, reply: Reply) -> set[Row]:
    """Merge a reply, and return the final bars that it brought; a crash may leave the old state."""
    archive.now += timedelta(hours=reply.hours_later)
    table = feed.table_of(reply)
    fetched = archive.fetched(table, instrument=feed.instrument, last_bar_final=reply.is_last_final)
    before = archive.folder.document()
    is_in_force = False
    try:
        with (
            crash_at(10_000 if reply.crash is None else reply.crash),
            prepared(archive.place, archive.key, fetched, is_whole_window=True) as new,
        ):
            new.commit()
            is_in_force = True
    except Crash:
        after = archive.folder.document()
        is_in_force = after is not None and (before is None or after.sequence > before.sequence)
    return final_rows(fetched) if is_in_force else set()


def _check(archive: Archive, received: set[Row]) -> None:
    bars = archive.bars()
    assert np.all(np.diff(times_of(bars)) > 0)
    assert bars.num_rows == archive.document.n_rows
    assert received <= archive.kept()


@settings(max_examples=N_EXAMPLES // 2)
@given(st.lists(REPLIES, min_size=1, max_size=5))
def test_no_bar_stands_twice_in_the_folder_as_one_table(replies: list[Reply]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive, feed = Archive(Path(folder)), Feed()
        for reply in replies:
            _receive(archive, feed, replace(reply, crash=None))

            assert archive.in_glob() == rows_of(archive.bars())
