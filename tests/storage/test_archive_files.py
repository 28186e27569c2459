"""Archive files: names, damage, and writers that died."""

from __future__ import annotations

import os
import random
import signal
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from threading import Thread

import pyarrow.parquet as pq
import pytest

from datasets.archive.preparation import prepared
from datasets.bars.series_keys import SeriesKey
from datasets.errors import FileCorrupt, FileMissing, InvalidRequest
from datasets.storage.archives.archive_paths import STAGED, relative_folder
from datasets.storage.archives.series_copies import copy_archives
from datasets.storage.archives.series_document import DOCUMENT_NAME
from datasets.storage.archives.series_writer import writing
from tests.support.archives import Archive, plain_bars, rows_of, scaled
from tests.support.factories import a_key

# More of them: RANDOM_KILLS=1000 pytest tests/storage/test_archive_files.py -m slow -rP
N_KILLS = int(os.environ.get("RANDOM_KILLS", "300"))


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path)


@pytest.mark.parametrize(
    ("changes", "folder"),
    [
        ({}, "sample/BINANCE_BTCUSDT_1h"),
        ({"session": "extended"}, "sample/BINANCE_BTCUSDT_1h_extended"),
        ({"adjustment": "none", "timeframe": "1M"}, "sample/BINANCE_BTCUSDT_1M_none"),
        ({"symbol": "A_B"}, "sample/BINANCE_A%5FB_1h"),
        ({"symbol": "币安人生USDT.P"}, "sample/BINANCE_%E5%B8%81%E5%AE%89%E4%BA%BA%E7%94%9FUSDT.P_1h"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_series_has_a_folder_of_its_own(changes: dict[str, str], folder: str) -> None:
    assert relative_folder(SeriesKey.of(a_key(**changes))) == folder


def test_a_long_symbol_is_named_by_its_hash_and_a_source_stays_in_the_folder() -> None:
    long_key = SeriesKey.of(a_key(symbol="币" * 128))

    assert len(relative_folder(long_key).split("/")[1].encode()) <= 255
    with pytest.raises(InvalidRequest):
        relative_folder(SeriesKey("..", "BINANCE", "BTCUSDT", long_key.timeframe))


def test_a_damaged_page_is_found_by_its_checksum(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 40)))
    path = archive.folder.path / "2024.parquet"
    content = bytearray(path.read_bytes())
    column = pq.read_metadata(path).row_group(0).column(4)
    content[column.data_page_offset + column.total_compressed_size - 9] ^= 1
    path.write_bytes(content)

    with pytest.raises(FileCorrupt):
        archive.bars()


def test_a_file_of_another_state_is_no_file_of_this_one(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 30)))
    path = archive.folder.path / "2024.parquet"
    older = path.read_bytes()
    archive.merge(plain_bars(range(0, 40)))
    path.write_bytes(older)

    with pytest.raises(FileCorrupt, match=r"does not hold the bars that series\.json names"):
        archive.bars()


def test_a_deleted_file_is_named_and_other_years_are_read(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 100)))
    (archive.folder.path / "2024.parquet").unlink()

    with pytest.raises(FileMissing, match="2024"):
        archive.bars()
    first = archive.document.files[1].first_time
    assert archive.bars(start=first).num_rows == 52


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"format": 2}', b"\xff"])
def test_a_damaged_document_is_corrupt_and_nothing_is_written_over_it(
    archive: Archive, content: bytes
) -> None:
    archive.merge(plain_bars(range(0, 30)))
    (archive.folder.path / DOCUMENT_NAME).write_bytes(content)

    with pytest.raises(FileCorrupt, match="no readable document"):
        archive.bars()
    with pytest.raises(FileCorrupt):
        archive.merge(plain_bars(range(0, 40)))


def test_files_without_their_document_are_not_written_over(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 30)))
    (archive.folder.path / DOCUMENT_NAME).unlink()

    with pytest.raises(FileCorrupt, match="Nothing was written"):
        archive.merge(plain_bars(range(0, 40)))


def test_a_block_that_does_not_commit_leaves_nothing(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 30)))
    before = _versions(archive)

    new = archive.fetched(scaled(plain_bars(range(10, 40)), 0.25))
    with (
        pytest.raises(RuntimeError),
        prepared(archive.place, archive.key, new, is_whole_window=True) as merge,
    ):
        assert merge.document.generation.number == 2
        raise RuntimeError("the database is away")

    assert _versions(archive) == before
    assert archive.bars().equals(plain_bars(range(0, 30)))
    assert list((archive.folder.path / STAGED).iterdir()) == []


def _versions(archive: Archive) -> dict[Path, tuple[int, ...]]:
    """Return the files of an archive with their numbers, links and times of writing.

    Not with the times of the last reading and of the last link, which the merge may change.
    """
    found = {path: path.stat() for path in archive.folder.path.rglob("*") if path.is_file()}
    return {
        path: (status.st_ino, status.st_nlink, status.st_size, status.st_mtime_ns)
        for path, status in found.items()
    }


def test_the_new_state_is_read_before_it_is_in_force(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 30)))
    new = archive.fetched(plain_bars(range(20, 40)))

    with prepared(archive.place, archive.key, new, is_whole_window=True) as merge:
        assert archive.bars().num_rows == 30
        merge.commit()
        # The files are still in `_next/`.
        assert archive.bars().equals(plain_bars(range(0, 40)))


def test_a_second_writer_waits_and_merges_with_the_first(archive: Archive) -> None:
    archive.merge(plain_bars(range(0, 30)))
    second = Thread(target=archive.merge, args=[plain_bars(range(20, 40))], daemon=True)
    with writing(archive.folder):
        second.start()
        second.join(0.2)
        assert second.is_alive()
    second.join(30)
    archive.merge(plain_bars(range(30, 50)))

    assert archive.bars().equals(plain_bars(range(0, 50)))


def test_archives_are_copied_for_a_backup_and_damage_is_named(
    archive: Archive, tmp_path: Path
) -> None:
    archive.merge(plain_bars(range(0, 60)))
    archive.merge(scaled(plain_bars(range(40, 62)), 0.25))
    copy = Archive(tmp_path / "copy")

    n_files, faults = copy_archives(archive.root, copy.root, is_in_use=True)

    assert (n_files, faults) == (7, [])
    assert copy.bars().equals(archive.bars())
    assert copy.kept() == archive.kept()
    copy.merge(scaled(plain_bars(range(40, 64)), 0.25), after=timedelta(days=3))
    (copy.folder.path / "2024.parquet").write_bytes(b"no parquet")

    _, faults = copy_archives(copy.root, tmp_path / "again", is_in_use=False)

    assert ["NASDAQ_AAPL_1h" in fault for fault in faults] == [True]
    assert archive.bars().num_rows == 22


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_leaves_the_old_state_or_the_new_one(
    archive: Archive,
) -> None:
    """Windows slide, and a split comes now and then; each writer is killed by a signal."""
    archive.merge(plain_bars(range(0, 60)))
    outcomes: Counter[str] = Counter()
    first, factor, seconds = 0, 1.0, 0.05

    while outcomes["killed: old"] + outcomes["killed: new"] < N_KILLS:
        if random.random() < 0.1:
            factor *= random.choice([0.25, 4.0])
        first += random.choice([1, 5, 30])
        window = scaled(plain_bars(range(first, first + 60)), factor)
        old, kept = rows_of(archive.bars()), archive.kept()
        archive.now += timedelta(hours=2)
        child = os.fork()
        if child == 0:
            archive.merge(window, after=timedelta(0))
            os._exit(0)
        time.sleep(random.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
        was_killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
        found = rows_of(archive.bars())

        is_new = found != old
        assert not is_new or set(rows_of(window)) <= set(found)
        assert kept <= archive.kept()
        if was_killed:
            outcomes[f"killed: {'new' if is_new else 'old'}"] += 1
        outcomes["ended before"] += not was_killed
        seconds *= 1.01 if was_killed else 0.95
        archive.merge(window, after=timedelta(hours=2))
        assert set(rows_of(window)) <= set(rows_of(archive.bars()))
        assert archive.in_glob() == rows_of(archive.bars())

    # Shown by `pytest -rP`.
    os.write(1, f"{dict(outcomes)}\n".encode())
