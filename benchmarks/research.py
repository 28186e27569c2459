"""Part 4: one dataset and panels of up to a thousand, against what else could be used.

polars and ArcticDB come with benchmarks/requirements.txt; what is not installed is left out.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import multiprocessing
import shutil
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import requests

from benchmarks.measurement import machine, medians_ms, publish, table
from datasets.bars import DatasetKey, FetchedBars, Instrument, make_table
from datasets.research import load, load_panel, reader
from datasets.storage import FolderStore
from tests.support.stacks import Feed, Stack

N_BARS = 5_000
COUNTS = (1, 10, 100, 1_000)
ROUNDS = 60
PANEL_ROUNDS = {1: 30, 10: 20, 100: 7, 1_000: 5}
START = 1_735_689_600


def write_datasets(folder: Path, n_datasets: int) -> list[str]:
    """Write datasets of hourly bars, all at the same times; return their symbols."""
    store = FolderStore(folder / "datasets")
    random = np.random.default_rng(7)
    instrument = Instrument(timezone="Etc/UTC", session_hours="24x7")
    symbols = [f"LOAD:S{number}" for number in range(n_datasets)]
    for symbol in symbols:
        walk = 100 * np.exp(np.cumsum(random.normal(0, 0.01, N_BARS + 1)))
        opens, closes = walk[:-1], walk[1:]
        rows = np.column_stack(
            [
                START + 3600 * np.arange(N_BARS),
                opens,
                np.maximum(opens, closes) * 1.003,
                np.minimum(opens, closes) * 0.997,
                closes,
                random.lognormal(5, 1, N_BARS),
            ]
        ).round(2)
        key = DatasetKey.parse(source="tradingview", symbol=symbol, n_bars=N_BARS)
        bars = make_table(rows, has_volume=np.full(N_BARS, True))
        store.write(key, FetchedBars(bars, instrument, datetime(2026, 1, 1, tzinfo=UTC), True))
    return symbols


def path_of(folder: Path, symbol: str) -> Path:
    return folder / "datasets" / "tradingview" / f"{symbol.replace(':', '_')}_1h_{N_BARS}.parquet"


def optional(name: str) -> Any:
    """Return a module, or None where it is not installed."""
    return importlib.import_module(name) if importlib.util.find_spec(name) else None


# --- one dataset ------------------------------------------------------------------------


def one_dataset(folder: Path, stack: Stack) -> str:
    symbol = "LOAD:S0"
    path = path_of(folder, symbol)
    polars = optional("polars")
    stack.get("ohlc", symbol="LOAD:API", n_bars=N_BARS)
    session = requests.Session()

    def read_api() -> pd.DataFrame:
        parameters: dict[str, Any] = {"symbol": "LOAD:API", "n_bars": N_BARS}
        answer = session.get(f"{stack.url}/api/tv/ohlc", params=parameters, timeout=30)
        return pd.DataFrame(answer.json()["ohlc"])

    runs: dict[str, Callable[[], object]] = {
        "**load**": lambda: load(symbol, folder=folder),
        "**load**, decoded anew": partial(_load_without_cache, symbol, folder),
        "**load**, and compared with its hash": partial(_load_first, symbol, folder),
        "**load**, one column of one day": lambda: load(
            symbol, folder=folder, columns=["close"], start="2025-03-01", end="2025-03-02"
        ),
        "**load** as arrow": lambda: load(symbol, folder=folder, as_="arrow"),
        _BARE: lambda: pq.ParquetFile(path, memory_map=True).read(use_threads=False),
        "`pandas.read_parquet`": lambda: pd.read_parquet(path),
        "GET /api/tv/ohlc, JSON to pandas": read_api,
    }
    if polars is not None:
        runs["`polars.read_parquet`"] = lambda: polars.read_parquet(path)
    medians = medians_ms(runs, rounds=ROUNDS, warm_up=5)
    session.close()
    peer, bare = medians["`pandas.read_parquet`"], medians[_BARE]
    rows = [
        [name, f"{value:.2f}", f"{value / bare:.2f}", f"{value / peer:.2f}"]
        for name, value in medians.items()
    ]
    headings = [
        f"one dataset of {N_BARS} bars, median of {ROUNDS}", "ms", "of bare pyarrow", "of `read_parquet`"
    ]  # fmt: skip
    return table(headings, rows)


_BARE = "`ParquetFile(memory_map=True).read(use_threads=False)`, bare"


def _load_without_cache(symbol: str, folder: Path) -> pd.DataFrame:
    reader.decoded.clear()
    return load(symbol, folder=folder)


def _load_first(symbol: str, folder: Path) -> pd.DataFrame:
    """Load as the first call of a process does."""
    reader.forget()
    return load(symbol, folder=folder)


# --- panels -----------------------------------------------------------------------------


def bare_pyarrow(folder: Path, symbols: list[str]) -> pd.DataFrame:
    def read(symbol: str) -> pd.Series:
        file = pq.ParquetFile(path_of(folder, symbol), memory_map=True)
        columns = file.read(columns=["time", "close"], use_threads=False)
        return pd.Series(columns["close"].to_numpy(), index=columns["time"].to_numpy(), name=symbol)

    with ThreadPoolExecutor() as pool:
        return pd.concat(list(pool.map(read, symbols)), axis=1)


def with_polars(folder: Path, symbols: list[str]) -> Any:
    polars = optional("polars")
    frames = [
        polars.scan_parquet(path_of(folder, symbol)).select(
            "time", polars.col("close").alias(symbol)
        )
        for symbol in symbols
    ]
    # Aligned by position: the fastest way in polars, and correct only for equal times.
    first, *others = polars.collect_all(frames)
    return first.hstack(
        [frame.get_column(name) for frame, name in zip(others, symbols[1:], strict=True)]
    )


def pandas_loop(folder: Path, symbols: list[str]) -> pd.DataFrame:
    columns = {
        symbol: pd.read_parquet(path_of(folder, symbol), columns=["time", "close"]).set_index(
            "time"
        )["close"]
        for symbol in symbols
    }
    return pd.DataFrame(columns)


def arctic_library(folder: Path, symbols: list[str]) -> Any:
    """Return a library that holds the same closes; None without ArcticDB."""
    arcticdb = optional("arcticdb")
    if arcticdb is None:
        return None
    library = arcticdb.Arctic(f"lmdb://{folder}/arctic").create_library("bars")
    for symbol in symbols:
        frame = pd.read_parquet(path_of(folder, symbol)).set_index("time")
        library.write(symbol, frame.tz_localize(None).astype("float64"))
    return library


def with_arctic(library: Any, symbols: list[str]) -> Any:
    wanted = [optional("arcticdb").ReadRequest(symbol, columns=["close"]) for symbol in symbols]
    items = library.read_batch(wanted)
    return pd.concat([item.data["close"].rename(item.symbol) for item in items], axis=1)


def panels(folder: Path, symbols: list[str]) -> str:
    library = arctic_library(folder, symbols)
    rows = []
    for n_datasets in COUNTS:
        some = symbols[:n_datasets]
        runs: dict[str, Callable[[], object]] = {
            "first": partial(_first, folder, some),
            "unkept": partial(load_panel, some, folder=folder, keep=False),
            "again": partial(load_panel, some, folder=folder),
            "again, summed": partial(_summed, folder, some),
            "pyarrow": partial(bare_pyarrow, folder, some),
            "pandas": partial(pandas_loop, folder, some),
        }
        if optional("polars") is not None:
            runs["polars"] = partial(with_polars, folder, some)
        if library is not None:
            runs["arctic"] = partial(with_arctic, library, some)
        medians = medians_ms(runs, rounds=PANEL_ROUNDS[n_datasets], warm_up=1)
        names = [
            "first",
            "unkept",
            "again",
            "again, summed",
            "polars",
            "pyarrow",
            "arctic",
            "pandas",
        ]
        peers = [
            medians[name] for name in ("polars", "pyarrow", "arctic", "pandas") if name in medians
        ]
        cells = [f"{medians[name]:.1f}" if name in medians else "—" for name in names]
        rows.append([f"{n_datasets:,}", *cells, f"{min(peers) / medians['again']:.0f}×"])
    headings = [
        "datasets, ms", "**load_panel, made and kept**", "**made, not kept**", "**again**", "**again, and summed**",
        "polars, by position", "pyarrow threads", "ArcticDB", "pandas loop", "again: times the best of others",
    ]  # fmt: skip
    return table(headings, rows)


def _first(folder: Path, symbols: list[str]) -> pd.DataFrame:
    shutil.rmtree(folder / "state", ignore_errors=True)
    return load_panel(symbols, folder=folder)


def _summed(folder: Path, symbols: list[str]) -> float:
    return float(load_panel(symbols, folder=folder).to_numpy().sum())


# --- memory -----------------------------------------------------------------------------


def _peak(folder: Path, symbols: list[str], how: str, answer: Any) -> None:
    load_panel(symbols[:2], folder=folder, keep=False)
    if how == "polars":
        with_polars(folder, symbols[:2])
    gc.collect()
    # Resets the peak to the present value; `ru_maxrss` would contain the parent's peak.
    Path("/proc/self/clear_refs").write_text("5")
    before = _peak_kb()
    runs: dict[str, Callable[[], object]] = {
        "made and kept": lambda: _first(folder, symbols),
        "not kept": lambda: load_panel(symbols, folder=folder, keep=False),
        "again": lambda: load_panel(symbols, folder=folder),
        "polars": lambda: with_polars(folder, symbols),
        "pyarrow threads": lambda: bare_pyarrow(folder, symbols),
    }
    kept = runs[how]()
    answer.put((_peak_kb() - before, id(kept)))


def _peak_kb() -> int:
    status = Path("/proc/self/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def memory(folder: Path, symbols: list[str]) -> str:
    """Return each way's peak memory above the start of its process; one process for each way."""
    result = len(symbols) * N_BARS * 8
    rows = []
    ways = ["made and kept", "not kept", "again", "pyarrow threads"]
    for how in [*ways, *(["polars"] if optional("polars") is not None else [])]:
        context = multiprocessing.get_context("spawn")
        answer = context.Queue()
        process = context.Process(target=_peak, args=(folder, symbols, how, answer))
        process.start()
        grown_kb, _ = answer.get()
        process.join()
        rows.append([how, f"{grown_kb / 1024:.0f}", f"{grown_kb * 1024 / result:.2f}"])
    return table([f"{len(symbols):,} datasets: peak memory", "MB more", "of the result"], rows)


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        started = time.perf_counter()
        symbols = write_datasets(folder / "outputs", max(COUNTS))
        print(f"{len(symbols)} datasets written in {time.perf_counter() - started:.0f} s")
        feed = Feed(folder, "--now", "2026-01-05T12:00:30Z")
        stack = Stack(folder, feed, OUTPUTS_URL=str(folder / "service"))
        try:
            stack.start_web()
            stack.start_worker()
            one = one_dataset(folder / "outputs", stack)
        finally:
            stack.stop()
            feed.stop()
        parts = [one, panels(folder / "outputs", symbols), memory(folder / "outputs", symbols)]
        publish("Research", "\n\n".join([machine(), *parts]))


if __name__ == "__main__":
    main()
