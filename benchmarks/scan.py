"""Part 12: DuckDB and polars over the archive's files, beside the exported table.

`BENCH_SERIES` is the number of series, of 5,000 bars each: `make bench BENCHMARKS=scan
BENCH_SERIES=20000` has 100,000,000 bars and needs 4 GB in the folder for temporary files.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import duckdb
import numpy as np
import polars as pl

from benchmarks.measurement import machine, medians_ms, publish, table
from datasets.archive.preparation import prepared
from datasets.bars import make_table
from datasets.bars.series_keys import SeriesKey
from tests.support.factories import a_key, fetched_bars
from tests.support.stacks import ROOT
from tvproject.env import SETTINGS

N_SERIES = int(os.environ.get("BENCH_SERIES", "2000"))
N_BARS = 5_000
ROUNDS = 3
START = 1_735_689_600  # 2025-01-01, so that all bars lie in one year
DAY = ("2025-03-03T00:00+00", "2025-03-04T00:00+00")
SYMBOL = f"LOAD:S{N_SERIES // 2}"
FILES = "archive/tradingview/*[0-9hDWM]/*.parquet"
TABLE = "table/tradingview/*.parquet"
HEADINGS = {
    "mean": "mean of all closes",
    "last": "last close of each symbol",
    "day": "mean close of one day, all symbols",
    "symbol": "all bars of one symbol",
}
Queries = dict[str, Callable[[str], float]]


def write_series(root: Path, number: int) -> None:
    """Merge one fetch of 5,000 hourly bars into the archive of a new series."""
    random = np.random.default_rng(number)
    walk = 100 * np.exp(np.cumsum(random.normal(0, 0.01, N_BARS + 1)))
    opens, closes = walk[:-1], walk[1:]
    highs, lows = np.maximum(opens, closes) * 1.003, np.minimum(opens, closes) * 0.997
    times, volumes = START + 3600 * np.arange(N_BARS), random.lognormal(5, 1, N_BARS)
    rows = np.column_stack([times, opens, highs, lows, closes, volumes]).round(2)
    bars = make_table(rows, has_volume=np.full(N_BARS, True))
    key = a_key(source="tradingview", exchange="LOAD", symbol=f"S{number}")
    fetched = fetched_bars(bars, fetched_at=datetime(2026, 1, 1, tzinfo=UTC))
    with prepared(root, SeriesKey.of(key), fetched, is_whole_window=True) as new:
        new.commit()


def export(folder: Path) -> float:
    """Make rows of the archive's files and export the table; return the seconds of the export."""
    clean = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    env = clean | {"OUTPUTS_URL": str(folder), "TV_SOURCE": "sample"}
    taken = 0.0
    for arguments in (
        ["migrate", "-v0"],
        ["datasets", "rebuild"],
        ["datasets", "export", "--layout", "table", "--to", str(folder / "table")],
    ):
        started = time.perf_counter()
        subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=env, check=True, stdout=subprocess.DEVNULL,
        )  # fmt: skip
        taken = time.perf_counter() - started
    return taken


def of_duckdb(sql: str, files: str) -> float:
    """Return the one number that a query over the files gives."""
    ((number,),) = duckdb.sql(sql.format(files=files)).fetchall()
    return float(number)


def of_polars(shape: Callable[[pl.LazyFrame], pl.LazyFrame], files: str) -> float:
    """Return the one number that a lazy query over the files gives."""
    return float(shape(pl.scan_parquet(files)).collect(engine="streaming").item())


def in_day(bars: pl.LazyFrame) -> pl.LazyFrame:
    first, end = (datetime.fromisoformat(f"{day}:00") for day in DAY)
    return bars.filter((pl.col("time") >= first) & (pl.col("time") < end))


ENGINES: dict[str, Queries] = {
    "DuckDB": {
        "mean": partial(of_duckdb, "SELECT avg(close) FROM '{files}'"),
        "last": partial(
            of_duckdb,
            "SELECT sum(last) FROM (SELECT arg_max(close, time) AS last FROM '{files}' GROUP BY symbol)",
        ),
        "day": partial(
            of_duckdb,
            f"SELECT avg(close) FROM '{{files}}' WHERE time >= '{DAY[0]}' AND time < '{DAY[1]}'",
        ),
        "symbol": partial(of_duckdb, f"SELECT sum(close) FROM '{{files}}' WHERE symbol = '{SYMBOL}'"),
    },
    "polars": {
        "mean": partial(of_polars, lambda bars: bars.select(pl.col("close").mean())),
        "last": partial(
            of_polars,
            lambda bars: bars.group_by("symbol")
            .agg(pl.col("close").sort_by("time").last())
            .select(pl.col("close").sum()),
        ),
        "day": partial(of_polars, lambda bars: in_day(bars).select(pl.col("close").mean())),
        "symbol": partial(
            of_polars,
            lambda bars: bars.filter(pl.col("symbol") == SYMBOL).select(pl.col("close").sum()),
        ),
    },
}  # fmt: skip


def measure(folder: Path) -> list[list[str]]:
    """Return a row for each engine and layout; raise `AssertionError` where two answers differ."""
    places = {"the archive's files": str(folder / FILES), "the exported table": str(folder / TABLE)}
    answers: dict[str, list[float]] = {name: [] for name in HEADINGS}
    runs = {}
    for engine, queries in ENGINES.items():
        for place, files in places.items():
            for name, query in queries.items():
                answers[name].append(query(files))
                runs[f"{engine} {place} {name}"] = partial(query, files)
    for name, found in answers.items():
        assert np.ptp(found) <= 1e-9 * abs(found[0]), (name, found)
    medians = medians_ms(runs, rounds=ROUNDS, warm_up=0)
    return [
        [engine, place, *(f"{medians[f'{engine} {place} {name}'] / 1000:.2f}" for name in HEADINGS)]
        for engine in ENGINES
        for place in places
    ]


def size_of(folder: Path) -> str:
    """Return the size of all parquet files below a folder."""
    return f"{sum(path.stat().st_size for path in folder.rglob('*.parquet')) / 1e9:.2f} GB"


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="tvscan-") as name:
        folder = Path(name)
        started = time.perf_counter()
        with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
            for _ in pool.imap_unordered(
                partial(write_series, folder / "archive"), range(N_SERIES), chunksize=50
            ):
                pass
        print(f"{N_SERIES:,} series written in {time.perf_counter() - started:.0f} s")
        export_s = export(folder)
        rows = measure(folder)
        sizes = size_of(folder / "archive"), size_of(folder / "table")
    headings = ["engine", "reads", *(f"{text}, s" for text in HEADINGS.values())]
    publish(
        "Scan",
        f"{machine()}; {N_SERIES:,} series, {N_SERIES * N_BARS:,} bars; median of {ROUNDS} in turns; the files are in the "
        f"page cache. The archive has {sizes[0]}, the table {sizes[1]}; `datasets export --layout table` takes {export_s:.0f} s. "
        "Both engines and both layouts give the same answers.\n\n" + table(headings, rows),
    )


if __name__ == "__main__":
    main()
