"""Files with a dataset's name that are no datasets: refused without hanging, and in little memory."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from datasets import catalog
from datasets.bars import BAR_SCHEMA
from datasets.errors import FileCorrupt
from datasets.models import Dataset
from datasets.research import catalog as catalog_of_files
from datasets.research import load
from datasets.storage import MAX_ROWS, METADATA_KEY, FolderStore
from tests.support.factories import bars_table
from tests.support.stacks import ROOT
from tvproject.env import SETTINGS

MakeDataset = Callable[..., Dataset]


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        # The name of a socket may have 107 bytes.
        here = os.open(path.parent, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{here}/{path.name}")
        os.close(here)


def make_link(path: Path) -> None:
    outside = path.parents[2] / "outside.parquet"
    pq.write_table(bars_table(3), outside)
    path.symlink_to(outside)


ODD: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "socket": make_socket,
    "device": lambda path: os.mknod(path, 0o20600, os.makedev(1, 5)),
    "folder": Path.mkdir,
    "link": make_link,
    "broken link": lambda path: path.symlink_to("nowhere"),
}


@pytest.fixture(params=ODD)
def odd(request: pytest.FixtureRequest) -> Callable[[Path], object]:
    if request.param == "device" and os.geteuid() != 0:
        pytest.skip("only root may make a device")
    return ODD[request.param]


def within(seconds: float, do: Callable[[], object]) -> None:
    """Call `do` in a thread; fail when it does not end in time."""
    done: list[object] = []
    thread = threading.Thread(target=lambda: done.append(do()), daemon=True)
    thread.start()
    thread.join(seconds)
    assert done, f"no result within {seconds:g} s"


def test_a_rebuild_moves_a_path_that_is_no_regular_file_to_quarantine(
    make_dataset: MakeDataset, store: FolderStore, odd: Callable[[Path], object]
) -> None:
    sound = make_dataset(20)
    path = store.folder / "sample" / "BINANCE_ETHUSDT_1h_300.parquet"
    odd(path)
    within(10, lambda: pytest.raises(FileCorrupt, store.read, "sample/" + path.name))
    within(10, lambda: catalog_of_files(folder=store.folder.parent))

    found = {finding.path: finding.outcome for finding in catalog.adopt_files()}

    assert found == {sound.path: "ok", "sample/" + path.name: "corrupt"}
    assert not os.path.lexists(path)


def test_a_path_that_is_no_regular_file_is_not_served_as_a_dataset(
    make_dataset: MakeDataset, store: FolderStore, odd: Callable[[Path], object]
) -> None:
    dataset = make_dataset(300)
    path = store.folder / dataset.path
    path.unlink()
    odd(path)
    within(
        10,
        lambda: pytest.raises(
            FileCorrupt, load, "BINANCE:BTCUSDT", source="sample", folder=store.folder.parent
        ),
    )

    assert catalog.verify(dataset).outcome == "corrupt"

    assert Dataset.objects.get().state == Dataset.State.CORRUPT
    assert not os.path.lexists(path)


def test_a_pipe_with_the_name_of_a_temporary_file_does_not_block_a_worker(
    store: FolderStore,
) -> None:
    (store.folder / "sample").mkdir(parents=True)
    os.mkfifo(store.folder / "sample" / ".x.tmp")

    within(10, store.remove_strays)


MANY = 5_000_000
_READ = """
import resource, sys
from pathlib import Path
from datasets.errors import FileCorrupt
from datasets.research import load
from datasets.storage import FolderStore
folder, name = Path(sys.argv[1]), sys.argv[2]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
for read in (
    lambda: FolderStore(folder / "datasets").read("sample/" + name),
    lambda: load("BINANCE:BTCUSDT", source="sample", folder=folder),
):
    try:
        read()
    except FileCorrupt as error:
        print(error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)
"""


@pytest.mark.slow
@pytest.mark.parametrize("is_said", [False, True], ids=["more than stated", "as many as stated"])
def test_a_file_of_five_million_rows_is_refused_before_it_is_decoded(
    make_dataset: MakeDataset, store: FolderStore, is_said: bool
) -> None:
    dataset = make_dataset(300)
    path = store.folder / dataset.path
    with pq.ParquetFile(path) as file:
        document = file.schema_arrow.metadata[METADATA_KEY]
    path.unlink()
    if is_said:
        name = f"BINANCE_BTCUSDT_1h_{MANY}.parquet"
        path = path.with_name(name)
        document = document.replace(b'"n_bars": 300', f'"n_bars": {MANY}'.encode())
        document = document.replace(b'"n_rows": 300', f'"n_rows": {MANY}'.encode())
    write_alike(path, document)
    assert path.stat().st_size < 1_000_000

    read = subprocess.run(
        [sys.executable, "-c", _READ, str(store.folder.parent), path.name],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip

    *errors, megabytes = read.stdout.splitlines()
    assert [error.count("5,000,000 rows") for error in errors] == [1, 1]
    assert int(megabytes) < 100


def write_alike(path: Path, document: bytes) -> None:
    """Write a file of many identical rows, in little memory."""
    n_rows = 1_000_000
    row = bars_table(1)
    part = pa.Table.from_arrays(
        [pa.repeat(row[name][0], n_rows) for name in row.column_names],
        schema=BAR_SCHEMA.with_metadata({METADATA_KEY: document}),
    )
    with pq.ParquetWriter(path, part.schema, compression="zstd") as writer:
        for _ in range(MANY // n_rows):
            writer.write_table(part, row_group_size=n_rows)


def test_the_limit_of_rows_is_the_largest_tv_max_bars() -> None:
    read = SETTINGS["TV_MAX_BARS"].read

    assert read(str(MAX_ROWS)) == MAX_ROWS
    with pytest.raises(ValueError, match=str(MAX_ROWS + 1)):
        read(str(MAX_ROWS + 1))
