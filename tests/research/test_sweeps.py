"""docs/research/sweeps.md: the notebook's sweep on a Dask cluster of processes in other folders."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
import signal
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from datasets.errors import DatasetsError, InvalidRequest, NotCurrent, TooManyRequests
from datasets.storage.buckets import Bucket, BucketAddress
from tests.support.buckets import BucketServer
from tests.support.dask_cluster import Cluster, dask_cluster
from tests.support.stacks import ROOT, Feed, Stack, wait_until
from tests.support.study_files import require, write_sample

N_BARS = 600
SYMBOLS = [f"BINANCE:{name}USDT" for name in ("BTC", "ETH", "SOL", "XRP")]
NOTEBOOK = json.loads((ROOT / "examples/features_and_sweep.ipynb").read_text())
CELLS = ["".join(cell["source"]) for cell in NOTEBOOK["cells"]]
# Up to the notebook's own `Parallel(…)`, and that line.
(DEFINITIONS,) = [cell.partition("parts =")[0] for cell in CELLS if "parts =" in cell]
(OWN_LINE,) = re.findall(r"^parts = Parallel.*$", "\n".join(CELLS), re.M)
PAGE = (ROOT / "docs/research/sweeps.md").read_text()
(ON_DASK,) = re.findall(r"```python\n(.*?)```", PAGE, re.S)

PRELUDE = f"""
import json, os, time
from functools import partial
from pathlib import Path
import numpy as np
from datasets.research import load
SYMBOLS, N_BARS, SOURCE = {SYMBOLS}, {N_BARS}, "sample"
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A service that has the datasets of the sweep, and the folder with their files."""
    folder = tmp_path_factory.mktemp("service")
    for symbol in SYMBOLS:
        write_sample(folder / "outputs", symbol, "1h", N_BARS)
    feed = Feed(folder)
    running = Stack(folder, feed)
    running.manage("datasets", "rebuild")
    running.start_web()
    yield running
    running.stop()
    feed.stop()


@pytest.fixture(scope="module")
def cluster(
    stack: Stack, bucket_server: BucketServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cluster]:
    """Two workers that read the folder of the service."""
    require("distributed", "joblib")
    folder = tmp_path_factory.mktemp("cluster")
    env = {"OUTPUTS_URL": str(stack.folder / "outputs"), "XDG_CACHE_HOME": str(folder / "cache")}
    with dask_cluster(folder, **bucket_server.env, **env) as running:
        yield running


def on(cluster: Cluster) -> str:
    """Return the code of the page for this cluster."""
    return str(ON_DASK).replace("tcp://SCHEDULER:8786", cluster.address)


def results(cluster: Cluster, script: str) -> dict[str, object]:
    """Run a study to its end; return the JSON object in the last line that it prints."""
    with cluster.run(script) as study:
        printed, _ = study.communicate(timeout=120)
    assert study.returncode == 0, printed
    found: dict[str, object] = json.loads(printed.splitlines()[-1])
    return found


def test_the_page_has_the_line_of_the_notebook() -> None:
    assert f"\n    {OWN_LINE}\n" in ON_DASK


@pytest.mark.slow
@pytest.mark.parametrize("place", ["folder", "service", "bucket"])
def test_a_sweep_on_dask_gives_what_the_notebook_gives(
    cluster: Cluster, stack: Stack, bucket_address: str, place: str
) -> None:
    bucket = Bucket(BucketAddress.parse(bucket_address))
    for path in (stack.folder / "outputs/datasets").rglob("*.parquet"):
        bucket.put(path.relative_to(stack.folder / "outputs").as_posix(), path.read_bytes())
    reading = {
        "folder": "",
        "service": f"load = partial(load, url={stack.url!r})\n",
        "bucket": f"load = partial(load, folder={bucket_address!r})\n",
    }[place]
    shown = "print(json.dumps({'same': parts == serial, 'rows': sum(map(len, parts))}))"
    shutil.rmtree(cluster.folder / "cache", ignore_errors=True)
    # The study's own process reads the folder, so that only workers copy files.
    serial = "serial = [sweep_one(symbol) for symbol in SYMBOLS]\n"

    found = results(cluster, PRELUDE + DEFINITIONS + serial + reading + on(cluster) + "\n" + shown)

    assert found == {"same": True, "rows": 4 * 45}
    copies = list((cluster.folder / "cache").rglob("*.parquet"))
    assert len(copies) == (0 if place == "folder" else 4)


@pytest.mark.slow
def test_an_error_of_a_task_arrives_as_itself(cluster: Cluster) -> None:
    script = f"""{PRELUDE}
from datasets.errors import DatasetNotFound, InvalidRequest, ServiceFailed

def first(symbol, timeframe="1h", **place):
    return load(symbol, timeframe, source=SOURCE, **place)

sweep_one, found = first, {{}}
{on(cluster)}
with parallel_config(backend="dask"):
    for expected, arguments in (
        (DatasetNotFound, ("NASDAQ:NOTHING",)),
        (InvalidRequest, (SYMBOLS[0], "7x")),
        (ServiceFailed, (SYMBOLS[0], "1h", "http://127.0.0.1:9")),
    ):
        place = {{"url": arguments[2]}} if arguments[2:] else {{}}
        try:
            Parallel()(delayed(first)(*arguments[:2], **place) for _ in range(2))
        except expected as error:
            found[expected.__name__] = str(error)
print(json.dumps(found))
"""
    found = results(cluster, script)

    assert list(found) == ["DatasetNotFound", "InvalidRequest", "ServiceFailed"]
    assert "NASDAQ:NOTHING" in str(found["DatasetNotFound"])
    assert "7x" in str(found["InvalidRequest"])
    assert "cannot be reached" in str(found["ServiceFailed"])


@pytest.mark.slow
def test_a_killed_worker_does_not_fail_the_sweep(cluster: Cluster, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    script = f"""{PRELUDE}{DEFINITIONS}
serial = [sweep_one(symbol) for symbol in SYMBOLS]
own_task, victim = sweep_one, Path({str(victim)!r})

def sweep_one(symbol):
    if symbol == SYMBOLS[1] and not victim.exists():
        victim.write_text(str(os.getpgrp()))
        time.sleep(100)  # until it is killed
    return own_task(symbol)

{on(cluster)}
print(json.dumps({{"same": parts == serial}}))
"""
    with cluster.run(script) as study:
        killed = int(wait_until(lambda: victim.exists() and victim.read_text(), seconds=60))
        os.killpg(killed, signal.SIGKILL)
        printed, _ = study.communicate(timeout=90)

    assert killed in [process.pid for process in cluster.workers.values()]
    assert json.loads(printed.splitlines()[-1]) == {"same": True}, printed


@pytest.mark.parametrize(
    "error",
    [
        InvalidRequest({"symbol": ["It is empty."], "n_bars": ["0 is no number of bars."]}),
        TooManyRequests("Too many requests.", retry_after_s=7.5),
        NotCurrent("A bar is missing.", lag_bars=1, available_at=datetime(2026, 1, 2, tzinfo=UTC)),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_keeps_its_values_between_processes(error: DatasetsError) -> None:
    copied = pickle.loads(pickle.dumps(error))

    assert (type(copied), str(copied), vars(copied)) == (type(error), str(error), vars(error))
