"""Part 11: one sweep of many parameters over many datasets, by what distributes it.

`BENCH_SWEEP` is the number of datasets, `BENCH_ROUNDS` that of rounds.

The functions are in this module and not in `__main__`, so that every process imports them.
"""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import psutil
from distributed import Client
from joblib import Parallel, delayed, parallel_config

from benchmarks.measurement import machine, publish, table
from benchmarks.research import N_BARS, write_datasets
from datasets.research import load

N_DATASETS, N_PARAMETERS = int(os.environ.get("BENCH_SWEEP", "100")), 200
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "3"))
N_PROCESSES = 2
# Fast and slow length of a cross of two means.
PARAMETERS = [(fast, slow) for fast in range(2, 22) for slow in range(30, 130, 10)]
Task = tuple[str, int, int]


def score(folder: str, symbol: str, fast: int, slow: int) -> float:
    """Return the summed return of a cross of two means on one dataset."""
    close = load(symbol, "1h", columns="close", folder=folder)["close"]
    held = (close.rolling(fast).mean() > close.rolling(slow).mean()).shift(1, fill_value=False)
    return float((close.pct_change() * held).sum())


def score_task(folder: str, task: Task) -> float:
    return score(folder, *task)


def score_dataset(folder: str, symbol: str) -> float:
    """Return the sum of the scores of all parameters on one dataset."""
    return sum(score(folder, symbol, *parameters) for parameters in PARAMETERS)


class Ways:
    """What distributes the sweep: a function of the folder, the symbols and the pairs for each cell."""

    def __init__(self, folder: str, symbols: list[str], stack: ExitStack) -> None:
        self.symbols = symbols
        self.tasks = [(symbol, *pair) for symbol in symbols for pair in PARAMETERS]
        self.dataset, self.task = partial(score_dataset, folder), partial(score_task, folder)
        self._stack = stack

    def serial(self) -> dict[str, Callable[[], float]]:
        return {"datasets": lambda: sum(map(self.dataset, self.symbols))}

    def processes(self) -> dict[str, Callable[[], float]]:
        pool = self._stack.enter_context(multiprocessing.get_context("spawn").Pool(N_PROCESSES))
        return {
            "datasets": lambda: sum(pool.imap_unordered(self.dataset, self.symbols)),
            "pairs": lambda: sum(pool.imap_unordered(self.task, self.tasks)),
            "chunks": lambda: sum(pool.imap_unordered(self.task, self.tasks, chunksize=100)),
        }

    def loky(self) -> dict[str, Callable[[], float]]:
        return self._joblib("loky")

    def dask_map(self) -> dict[str, Callable[[], float]]:
        client = self._stack.enter_context(
            Client(n_workers=N_PROCESSES, threads_per_worker=1, dashboard_address=None)
        )
        client.wait_for_workers(N_PROCESSES)

        def run(function: Callable[..., float], values: Iterable[object]) -> float:
            # Without `pure=False` Dask would answer a second round from its memory.
            return sum(client.gather(client.map(function, values, pure=False)))

        return {
            "datasets": lambda: run(self.dataset, self.symbols),
            "pairs": lambda: run(self.task, self.tasks),
        }

    def dask_joblib(self) -> dict[str, Callable[[], float]]:
        return self._joblib("dask")

    def _joblib(self, backend: str) -> dict[str, Callable[[], float]]:
        def run(function: Callable[..., float], values: Iterable[object]) -> float:
            with parallel_config(backend=backend):
                return sum(Parallel(n_jobs=N_PROCESSES)(delayed(function)(each) for each in values))

        run(float, range(N_PROCESSES))
        return {
            "datasets": lambda: run(self.dataset, self.symbols),
            "pairs": lambda: run(self.task, self.tasks),
        }


WAYS = {
    "serial": Ways.serial,
    f"`multiprocessing`, {N_PROCESSES} processes": Ways.processes,
    "joblib, `loky`": Ways.loky,
    "Dask, `client.map`": Ways.dask_map,
    'joblib, `backend="dask"`': Ways.dask_joblib,
}


def processor_s() -> float:
    """Return the processor's time that this process and all below it have taken so far."""
    own = psutil.Process()
    times = [each.cpu_times() for each in (own, *own.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def measure(folder: str, symbols: list[str]) -> list[list[str]]:
    """Return a row for each way; the rounds take all ways in turns."""
    setup_s: dict[str, float] = {}
    # Seconds of the clock, and of the processor.
    taken: dict[tuple[str, str], list[tuple[float, float]]] = {}
    sums: set[str] = set()
    with ExitStack() as stack:
        ways = Ways(folder, symbols, stack)
        runs = {}
        for name, way in WAYS.items():
            started = time.perf_counter()
            runs[name] = way(ways)
            setup_s[name] = time.perf_counter() - started
        for _ in range(ROUNDS):
            for name, cells in runs.items():
                for cell, run in cells.items():
                    before = time.perf_counter(), processor_s()
                    sums.add(f"{run():.6f}")
                    spent = time.perf_counter() - before[0], processor_s() - before[1]
                    taken.setdefault((name, cell), []).append(spent)
                    print(f"{name}, {cell}: {spent[0]:.1f} s, {spent[1]:.1f} s", file=sys.stderr)
    assert len(sums) == 1, sums
    columns = ["datasets", "pairs", "chunks"]
    return [
        [
            name,
            f"{setup_s[name]:.1f}",
            *(
                " (".join(
                    f"{statistics.median(each):.1f}"
                    for each in zip(*taken[name, column], strict=True)
                )
                + ")"
                if column in runs[name]
                else ""
                for column in columns
            ),
        ]
        for name in WAYS
    ] + [["sum of all scores, the same in every cell", "", sums.pop(), "", ""]]


def main() -> None:
    assert len(PARAMETERS) == N_PARAMETERS
    with tempfile.TemporaryDirectory() as name:
        symbols = write_datasets(Path(name), N_DATASETS)
        rows = measure(name, symbols)
    n_pairs = N_DATASETS * N_PARAMETERS
    publish(
        "Sweep",
        f"{machine()}; {N_PARAMETERS} parameter pairs on {N_DATASETS} datasets of {N_BARS:,} bars; seconds, median of "
        f"{ROUNDS} in turns, in brackets those of the processor; {N_PROCESSES} processes\n\n"
        + table(
            ["", "start", f"{N_DATASETS} tasks, one a dataset", f"{n_pairs:,} tasks, one a pair", f"{n_pairs:,} in chunks of 100"],
            rows,
        ),
    )  # fmt: skip


if __name__ == "__main__":
    # Processes of Dask and `spawn` import the functions from this name, not from `__main__`.
    from benchmarks.sweep import main as run

    run()
