"""Datasets and archives in a bucket, against the same in a folder; the S3 server is SeaweedFS on this machine.

A proxy gives the server a round trip of `BENCH_ROUND_TRIP_MS` for the cold reads.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.archive import N_NEW, N_OVERLAP, BenchedSeries
from benchmarks.measurement import machine, medians_ms, publish, table
from datasets.bars import DatasetKey
from datasets.storage import BucketAddress, FolderStore, Store, StoredFile
from datasets.storage.archives.archive_places import Archives, FolderArchives
from datasets.storage.archives.archive_queries import read_newest
from datasets.storage.archives.bucket_archives import BucketArchives
from datasets.storage.bucket_store import BucketStore
from datasets.storage.buckets import LocalCopies
from tests.support.bucket_archives import file_lock
from tests.support.buckets import BucketServer, FaultProxy, seaweedfs
from tests.support.factories import a_key, bars_table, fetched_bars

ROUNDS, MERGES = 40, 15
N_BARS = 5_000
# How many datasets are kept, and how many bars of the archive.
SIZES = ((100, 5_000), (5_000, 500_000))
ROUND_TRIP_MS = float(os.environ.get("BENCH_ROUND_TRIP_MS", "20"))
CHECK_S, CACHE_BYTES = 10.0, 2**31
IN_FOLDER, IN_BUCKET = "folder", "bucket"
CASES = {
    "warm read of a dataset": ROUNDS,
    "cold read of a dataset": ROUNDS,
    f"cold read, {ROUND_TRIP_MS:g} ms to the server": ROUNDS,
    "newest 1,000 bars of the archive": ROUNDS,
    "write of a dataset": ROUNDS,
    "merge into the archive": MERGES,
}
WARM, COLD, FAR, NEWEST, WRITE, MERGE = CASES
NAME = f"BINANCE_BTCUSDT_1h_{N_BARS}.parquet"


@dataclass
class Place:
    """One place with datasets and an archive of one size."""

    store: Store
    series: BenchedSeries
    key: DatasetKey
    # Returns the store as a host has it that has read nothing yet.
    fresh: Callable[[], Store]
    written: StoredFile = field(init=False)

    def __post_init__(self) -> None:
        self.write()

    def read(self, store: Store) -> None:
        bars, _ = store.read(f"{self.key.source}/{NAME}", recorded=self.written.version)
        assert bars.num_rows == N_BARS

    def write(self) -> None:
        """Replace the dataset by bars of a later fetch."""
        self.series.fetched_at += timedelta(seconds=1)
        bars = fetched_bars(bars_table(N_BARS), fetched_at=self.series.fetched_at)
        self.written = self.store.write(self.key, bars)


def in_folder(root: Path, n_datasets: int, n_archived: int) -> Place:
    store = FolderStore(root / "datasets")
    made = _place(store, FolderArchives(root / "archive"), root, n_archived, lambda: store)
    kept = root / "datasets" / made.key.source
    for number in range(n_datasets):
        shutil.copyfile(kept / NAME, kept / NAME.replace("BTC", f"S{number}"))
    return made


def in_bucket(root: Path, address: BucketAddress, n_datasets: int, n_archived: int) -> Place:
    copies = LocalCopies(root / "copies", CACHE_BYTES)
    store = BucketStore(address, copies, CHECK_S)
    archives = BucketArchives(address, copies, CHECK_S, file_lock(root))

    def fresh() -> BucketStore:
        folder = root / "cold"
        shutil.rmtree(folder, ignore_errors=True)
        return BucketStore(address, LocalCopies(folder, CACHE_BYTES), CHECK_S)

    made = _place(store, archives, root, n_archived, fresh)
    kept = store.bucket.below(made.key.source)
    content = kept.get(NAME).content
    with ThreadPoolExecutor(8) as pool:
        numbers = range(n_datasets)
        list(pool.map(lambda n: kept.put(NAME.replace("BTC", f"S{n}"), content), numbers))
    return made


def _place(
    store: Store, archives: Archives, root: Path, n_archived: int, fresh: Callable[[], Store]
) -> Place:
    series = BenchedSeries(root, "BENCH", "1h", n_archived, place=archives)
    return Place(store, series, a_key(n_bars=N_BARS), fresh)


def measure(folder: Place, bucket: Place, proxy: FaultProxy) -> dict[str, dict[str, float]]:
    """Return the medians of each case in milliseconds, of the folder and of the bucket."""
    found: dict[str, dict[str, float]] = {}
    for case, rounds in CASES.items():
        with far_server(proxy) if case == FAR else at_once():
            runs = {
                name: _run_of(case, each)
                for name, each in ((IN_FOLDER, folder), (IN_BUCKET, bucket))
            }
            found[case] = medians_ms(runs, rounds=rounds)
    return found


def _run_of(case: str, place: Place) -> Callable[[], object]:
    if case in (COLD, FAR):
        return lambda: place.read(place.fresh())
    return {
        WARM: lambda: place.read(place.store),
        NEWEST: lambda: read_newest(place.series.folder, 1000),
        WRITE: place.write,
        MERGE: place.series.refresh,
    }[case]


@contextmanager
def at_once() -> Iterator[None]:
    """Use the server without a proxy."""
    yield


@contextmanager
def far_server(proxy: FaultProxy) -> Iterator[None]:
    """Reach the server through the proxy, which keeps each reply for the time of a round trip."""
    endpoint = os.environ["AWS_ENDPOINT_URL"]
    proxy.delay_s = ROUND_TRIP_MS / 1000
    os.environ["AWS_ENDPOINT_URL"] = f"http://127.0.0.1:{proxy.port}"
    try:
        yield
    finally:
        os.environ["AWS_ENDPOINT_URL"] = endpoint


def run(root: Path, server: BucketServer) -> list[list[str]]:
    """Return the rows of the table."""
    proxy = FaultProxy(urlsplit(server.endpoint).port or 0)
    rows = []
    for number, (n_datasets, n_archived) in enumerate(SIZES):
        folder, local = root / f"folder-{number}", root / f"host-{number}"
        local.mkdir()
        address = BucketAddress.parse(server.empty_place())
        found = measure(
            in_folder(folder, n_datasets, n_archived),
            in_bucket(local, address, n_datasets, n_archived),
            proxy,
        )
        for case, medians in found.items():
            here, there = medians[IN_FOLDER], medians[IN_BUCKET]
            rows.append(
                [f"{n_datasets:,}, {n_archived:,}", case, f"{here:.2f}", f"{there:.2f}", f"{there - here:+.2f}", f"{there / here:.2f}"]
            )  # fmt: skip
    proxy.stop()
    return rows


def need(name: str) -> str:
    """Return the path of a program."""
    ours = str(Path(sys.executable).parent)
    program = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], ours]))
    if program is None:
        raise SystemExit(f"{name} is needed: `pip install -r requirements-dev.txt`.")
    return program


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, seaweedfs(need) as server:
        os.environ.update(server.env)
        rows = run(Path(folder), server)
    publish(
        "Bucket",
        f"{machine()}; `make bench BENCHMARKS=bucket`; median of {ROUNDS} in turns ({MERGES} of merges); datasets of "
        f"{N_BARS:,} bars; a merge has {N_NEW} new bars and {N_OVERLAP} that are held. Cold: a host that has read nothing "
        "yet; the folder's files are in the memory of the machine. Requests: a warm read sends none, a cold read one, the "
        "newest bars one for `series.json`, a write two, a merge 9 to 11. All sides and the server "
        "share two cores.\n\n"
        + table(
            ["datasets, bars of the archive", "what", "folder, ms", "bucket, ms", "difference, ms", "ratio"],
            rows,
        ),
    )  # fmt: skip


if __name__ == "__main__":
    main()
