"""Part 16: `datasets rebuild` and `verify` over many files, beside the same files read by pyarrow alone.

`BENCH_FILES` are the numbers of files, such as `BENCH_FILES="1000000"`, which needs 8 GB of disk. The catalog is in
PostgreSQL. The files are in the memory of the machine where they fit.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import psycopg
import pyarrow.parquet as pq

from benchmarks.measurement import machine, publish, table
from benchmarks.million import need, run
from datasets.bars import DatasetKey
from datasets.storage import METADATA_KEY
from datasets.storage.folder_store import FolderStore
from datasets.storage.metadata import to_document
from datasets.storage.parallel_reads import in_batches
from datasets.storage.paths import relative_path
from tests.support.factories import a_key, bars_table, fetched_bars
from tests.support.servers import postgresql

SIZES = [int(size) for size in os.environ.get("BENCH_FILES", "10000 100000").split()]
N_BARS = 300
N_WORKERS = 4
HEADINGS = [
    "files",
    "pyarrow alone, s",
    "rebuild, s",
    "files a second",
    "memory, MB",
    "rebuild again, s",
    "resumed, s",
    "verify, s",
]


def write_files(root: Path, number: int) -> None:
    """Write a dataset of 300 bars for each of many symbols, as fetches would, but without a sync of each file."""
    store = FolderStore(root)
    bars = fetched_bars(bars_table(N_BARS))
    template = store.write(a_key(exchange="LOAD", symbol="S0", n_bars=N_BARS), bars).facts
    for index in range(1, number):
        key: DatasetKey = replace(template.key, exchange=f"LOAD{index % 60}", symbol=f"S{index}")
        document = to_document(replace(template, key=key))
        path = root / relative_path(key)
        path.parent.mkdir(exist_ok=True, parents=True)
        pq.write_table(
            bars.table.replace_schema_metadata({METADATA_KEY: document}),
            path, compression="zstd", use_dictionary=False,
        )  # fmt: skip


def read_all(root: Path) -> float:
    """Read all columns of all files with as many threads as `rebuild` has processes; return the seconds."""

    def read(path: str) -> int:
        return pq.ParquetFile(path, memory_map=True).read(use_threads=False).num_rows

    started = time.perf_counter()
    paths = (str(path) for path in root.rglob("*.parquet"))
    # A new process counts the most memory of this one as its own, so the paths are not held.
    with ThreadPoolExecutor(N_WORKERS) as pool:
        for some in in_batches(paths, 1_000):
            assert sum(pool.map(read, some)) == N_BARS * len(some)
    return time.perf_counter() - started


def command(*arguments: str, env: dict[str, str]) -> tuple[float, float]:
    """Run `manage.py datasets` with these arguments; return the seconds, and the most memory in MB."""
    words = [sys.executable, "manage.py", "datasets", *arguments]
    started = time.perf_counter()
    process = subprocess.Popen(words, env=env, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    assert status == 0
    return time.perf_counter() - started, used.ru_maxrss / 1024


def measured(number: int, url: str) -> list[str]:
    """Return the line of `number` files, with an empty catalog at `url`."""
    with tempfile.TemporaryDirectory() as name:
        outputs = Path(name) / "outputs"
        env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tvproject.settings",
            "DATABASE_URL": url,
            "OUTPUTS_URL": str(outputs),
            "TV_SOURCE": "sample",
        }
        run("manage.py", "migrate", "-v0", env=env)
        write_files(outputs / "datasets", number)
        bare_s = read_all(outputs / "datasets")
        workers = f"--workers={N_WORKERS}"
        rebuild_s, memory_mb = command("rebuild", workers, env=env)
        with psycopg.connect(url) as connection:
            rows = connection.execute("SELECT count(*) FROM datasets_dataset").fetchone()
        assert rows == (number,), rows
        again_s, _ = command("rebuild", workers, env=env)
        resumed_s, _ = command("rebuild", workers, "--resume", env=env)
        verify_s, _ = command("verify", workers, env=env)
        return [
            f"{number:,}", f"{bare_s:.1f}", f"{rebuild_s:.1f}", f"{number / rebuild_s:,.0f}", f"{memory_mb:.0f}",
            f"{again_s:.1f}", f"{resumed_s:.1f}", f"{verify_s:.1f}",
        ]  # fmt: skip


def main() -> None:
    """Measure each size with a server of its own, and publish the section."""
    rows = []
    for number in SIZES:
        with postgresql(need) as url:
            rows.append(measured(number, url))
            print(*rows[-1], sep=" | ", flush=True)
    text = (
        f"{machine()}; files of {N_BARS} bars, {N_WORKERS} processes that read, the catalog in PostgreSQL; the files are in the memory "
        "of the machine. *Resumed* reads no file whose row has its version.\n\n"
    )
    publish("Rebuild", text + table(HEADINGS, rows))


if __name__ == "__main__":
    main()
