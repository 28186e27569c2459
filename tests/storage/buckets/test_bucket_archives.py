"""Archives in a bucket: one state for all hosts, writers that die or race, and a bucket that fails."""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from threading import Thread
from urllib.parse import urlsplit

import pytest

from datasets.archive.preparation import prepared
from datasets.errors import FileMissing, ObjectChanged, StoreFailed, StoreUnavailable
from datasets.storage.archives import bucket_files
from datasets.storage.archives.archive_paths import STAGED
from datasets.storage.archives.bucket_archives import BucketArchives
from datasets.storage.archives.series_document import DOCUMENT_NAME
from datasets.storage.archives.series_writer import writing
from datasets.storage.buckets import Bucket, BucketAddress, LocalCopies
from tests.support.archives import Archive, Crash, changed, plain_bars, rows_of, scaled
from tests.support.bucket_archives import (
    bucket_archive,
    crash_in_bucket,
    has_leftovers,
    kept_in_bucket,
    objects_of,
    writer_process,
)
from tests.support.buckets import BucketServer, Fault, FaultProxy

# More of them: RANDOM_KILLS=1000 pytest tests/storage/buckets/test_bucket_archives.py -m slow -rP
N_KILLS = int(os.environ.get("RANDOM_KILLS", "100"))

Host = Callable[..., Archive]


@pytest.fixture
def host(bucket_address: str, tmp_path: Path) -> Host:
    """Return a function that returns the archive as the host of a name has it."""

    def make(name: str, **key: str) -> Archive:
        return bucket_archive(bucket_address, tmp_path / name, tmp_path / "locks", **key)

    return make


def test_a_host_reads_what_another_host_has_just_written(host: Host) -> None:
    writer, reader = host("one"), host("two")
    writer.merge(plain_bars(range(0, 60)))
    assert reader.bars().equals(plain_bars(range(0, 60)))

    writer.merge(plain_bars(range(40, 100)))

    # The reader has looked at the version of this year a moment ago.
    assert reader.bars().equals(plain_bars(range(0, 100)))
    reader.merge(plain_bars(range(90, 120)), after=timedelta(days=3))
    assert writer.bars().equals(plain_bars(range(0, 120)))


def test_the_objects_have_the_names_of_the_files_on_a_disk(
    host: Host, bucket_address: str, tmp_path: Path
) -> None:
    in_bucket, on_disk = host("one"), Archive(tmp_path / "disk")
    for archive in (in_bucket, on_disk):
        archive.merge(plain_bars(range(0, 60)))
        archive.merge(scaled(plain_bars(range(40, 62)), 0.25))

    found = objects_of(in_bucket, bucket_address)

    files = (path for path in on_disk.folder.path.rglob("*") if path.is_file())
    names = {path.relative_to(on_disk.folder.path).as_posix() for path in files}
    assert found == sorted(names - {".lock"})
    assert in_bucket.document == on_disk.document
    assert in_bucket.place.names() == ["sample/NASDAQ_AAPL_1h"]
    assert in_bucket.place.is_present("sample")
    assert not in_bucket.place.is_present("tradingview")


@pytest.mark.parametrize("symbol", ["M&M", "A_B", "币安人生USDT.P", "币" * 128])
def test_any_symbol_has_an_archive(host: Host, symbol: str) -> None:
    archive = host("one", symbol=symbol)

    archive.merge(plain_bars(range(0, 10)))
    archive.merge(plain_bars(range(5, 20)))

    assert host("two", symbol=symbol).bars().equals(plain_bars(range(0, 20)))
    assert archive.place.names() == [archive.folder.path.as_posix()]


def test_earlier_states_are_read_from_the_bucket(host: Host) -> None:
    archive = host("one")
    archive.merge(plain_bars(range(0, 60)))
    first = archive.now
    archive.merge(scaled(plain_bars(range(40, 62)), 0.25))
    archive.merge(scaled(plain_bars(range(40, 64)), 0.25), after=timedelta(hours=2))

    assert host("two").bars(as_of=first).equals(plain_bars(range(0, 60)))
    assert archive.bars().num_rows == 64


def test_a_crash_at_any_change_leaves_the_old_state_or_the_new_one(
    host: Host, bucket_address: str
) -> None:
    archive = host("one")
    archive.merge(plain_bars(range(0, 60)))
    windows = [plain_bars(range(40, 90)), scaled(plain_bars(range(45, 92)), 0.25)]
    seen: Counter[str] = Counter()
    for window in windows:
        number, has_crashed = 0, True
        while has_crashed:
            old, kept = rows_of(archive.bars()), kept_in_bucket(archive)
            try:
                with crash_in_bucket(number):
                    archive.merge(window, after=timedelta(hours=2))
                has_crashed = False
            except Crash:
                number += 1
            # Another host, without the memory of the one that died.
            found = rows_of(host(f"after {number}").bars())
            assert found == old or set(rows_of(window)) <= set(found)
            assert kept <= kept_in_bucket(host(f"after {number}"))
            seen["new" if found != old else "old"] += 1
    archive.merge(windows[-1], after=timedelta(hours=2))
    assert set(rows_of(windows[-1])) <= set(rows_of(archive.bars()))
    assert not has_leftovers(archive, bucket_address)
    assert seen["old"] > 8
    assert seen["new"] >= 2


@pytest.mark.parametrize("n_kills", [8, pytest.param(N_KILLS, marks=pytest.mark.slow)])
def test_a_killed_writer_leaves_the_old_state_or_the_new_one(
    host: Host, bucket_address: str, bucket_server: BucketServer, tmp_path: Path, n_kills: int
) -> None:
    archive = host("one")
    archive.merge(plain_bars(range(0, 60)))
    outcomes: Counter[str] = Counter()
    first, factor, seconds, hours = 0, 1.0, 0.3, 0

    while outcomes["killed: old"] + outcomes["killed: new"] < n_kills:
        if random.random() < 0.1:
            factor *= random.choice([0.25, 4.0])
        first += random.choice([1, 5, 30])
        hours += 4
        window = scaled(plain_bars(range(first, first + 60)), factor)
        old, kept = rows_of(archive.bars()), kept_in_bucket(archive)
        merge = {"first": first, "n_hours": 60, "factor": factor, "after_h": 100 + hours}
        child = writer_process(
            bucket_address, tmp_path / "two", tmp_path / "locks", bucket_server.env, merge
        )
        time.sleep(random.uniform(0, seconds))
        child.kill()
        child.join()
        found = rows_of(archive.bars())

        is_new = found != old
        assert not is_new or set(rows_of(window)) <= set(found)
        assert kept <= kept_in_bucket(archive)
        if child.exitcode:
            outcomes[f"killed: {'new' if is_new else 'old'}"] += 1
        outcomes["ended before"] += not child.exitcode
        seconds *= 1.02 if child.exitcode else 0.95
        archive.now = max(archive.now, archive.document.fetched_at)
        archive.merge(window, after=timedelta(hours=2))
        hours += 2
        assert set(rows_of(window)) <= set(rows_of(archive.bars()))
        assert not has_leftovers(archive, bucket_address)

    # Shown by `pytest -rP`.
    os.write(1, f"{dict(outcomes)}\n".encode())


def test_two_writers_of_one_series_wait_for_each_other(host: Host) -> None:
    one, two = host("one"), host("two")
    one.merge(plain_bars(range(0, 60)))
    second = Thread(target=two.merge, args=[plain_bars(range(40, 80))], daemon=True)
    with writing(one.folder):
        second.start()
        second.join(0.3)
        assert second.is_alive()
    second.join(30)

    one.merge(plain_bars(range(70, 90)), after=timedelta(days=3))

    assert two.bars().equals(plain_bars(range(0, 90)))


@pytest.mark.usefixtures("conditional_writes")
def test_a_writer_without_the_lock_is_refused_by_the_version(
    host: Host, bucket_address: str, tmp_path: Path
) -> None:
    """A process that was stopped has lost its lock, and goes on later."""
    stopped, other = host("one"), bucket_archive(bucket_address, tmp_path / "two", tmp_path / "no")
    stopped.merge(plain_bars(range(0, 60)))
    late = stopped.fetched(plain_bars(range(50, 70)))

    with (
        pytest.raises(ObjectChanged) as caught,
        prepared(stopped.place, stopped.key, late, is_whole_window=True) as new,
    ):
        other.merge(plain_bars(range(40, 90)), after=timedelta(days=3))
        new.commit()

    assert caught.value.retryable
    assert other.bars().equals(plain_bars(range(0, 90)))
    stopped.merge(plain_bars(range(80, 100)), after=timedelta(days=5))
    assert other.bars().equals(plain_bars(range(0, 100)))


def test_a_document_that_arrives_after_its_writer_died_finds_its_files(
    host: Host, bucket_address: str
) -> None:
    """The last request of a killed writer can reach the server when the next writer works already."""
    archive, bucket = host("one"), Bucket(BucketAddress.parse(bucket_address)).below("archive")
    archive.merge(plain_bars(range(0, 60)))
    name = f"{archive.folder.path}/{DOCUMENT_NAME}"
    before = bucket.get(name)
    window = changed(plain_bars(range(40, 90)), 15, volume=1.0)
    # After the files of the year and of the revisions.
    with crash_in_bucket(2), pytest.raises(Crash):
        archive.merge(window)
    sent = bucket.get(name)
    assert sent.version != before.version
    bucket.put(name, before.content)
    with writing(host("two").folder):
        pass

    bucket.put(name, sent.content)

    assert set(rows_of(window)) <= set(rows_of(host("three").bars()))


def test_abandoned_files_are_deleted_after_an_hour(
    host: Host, bucket_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = host("one")
    archive.merge(plain_bars(range(0, 60)))
    with crash_in_bucket(0), pytest.raises(Crash):
        archive.merge(plain_bars(range(40, 90)))
    assert any(STAGED in name for name in objects_of(archive, bucket_address))
    assert archive.place.suspects() == ["sample/NASDAQ_AAPL_1h"]
    assert not archive.folder.files.has_traces(archive.document)

    monkeypatch.setattr(bucket_files, "_ABANDONED_AFTER", timedelta(0))
    assert archive.folder.files.has_traces(archive.document)
    with writing(archive.folder):
        pass

    assert not any(STAGED in name for name in objects_of(archive, bucket_address))
    assert archive.place.suspects() == []


def test_an_object_that_was_deleted_by_hand_is_named(
    host: Host, bucket_address: str, tmp_path: Path
) -> None:
    archive = host("one")
    archive.merge(plain_bars(range(0, 60)))
    Bucket(BucketAddress.parse(bucket_address)).delete(
        f"archive/{archive.folder.path}/2024.parquet"
    )

    with pytest.raises(FileMissing, match=r"2024\.parquet"):
        host("two").bars()
    with pytest.raises(FileMissing, match=r"2024\.parquet"):
        host("two").merge(plain_bars(range(40, 90)), after=timedelta(days=3))
    place = BucketArchives(
        BucketAddress.parse(bucket_address), LocalCopies(tmp_path / "one/objects", 2**28), 0.0
    )
    # The local copy does not stand in for the object.
    with pytest.raises(FileMissing, match=r"2024\.parquet"):
        Archive(tmp_path, place=place).bars()


def test_a_reader_cannot_write(bucket_address: str, tmp_path: Path) -> None:
    place = BucketArchives(BucketAddress.parse(bucket_address), LocalCopies(tmp_path, 2**20), 10.0)

    with pytest.raises(StoreFailed, match="written by the service only"):
        Archive(tmp_path, place=place).merge(plain_bars(range(0, 60)))


@pytest.mark.parametrize(
    "fault",
    ["cut", "500", "half", pytest.param("hang", marks=pytest.mark.slow), pytest.param("slow", marks=pytest.mark.slow)],
)  # fmt: skip
def test_a_bucket_that_fails_during_a_merge_loses_no_row(
    host: Host,
    bucket_server: BucketServer,
    bucket_address: str,
    monkeypatch: pytest.MonkeyPatch,
    fault: Fault,
) -> None:
    proxy = FaultProxy(urlsplit(bucket_server.endpoint).port or 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
    archive = host("one")
    archive.merge(plain_bars(range(0, 60)))
    new = archive.fetched(plain_bars(range(40, 90)), fetched_at=archive.now + timedelta(days=1))

    with (
        pytest.raises(StoreUnavailable) as caught,
        prepared(archive.place, archive.key, new, is_whole_window=True) as merge,
    ):
        proxy.arm(fault)
        merge.commit()

    assert caught.value.retryable
    # What this process has read goes on being read.
    assert archive.bars().num_rows >= 60
    with pytest.raises(StoreUnavailable):
        archive.merge(plain_bars(range(40, 90)))
    proxy.arm("none")
    archive.merge(plain_bars(range(40, 90)))
    assert host("two").bars().equals(plain_bars(range(0, 90)))
    assert not has_leftovers(archive, bucket_address)
    proxy.stop()
