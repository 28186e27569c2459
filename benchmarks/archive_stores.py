"""Part 6: a refresh of a series in the archive, beside a rewrite of one file, Delta and ArcticDB.

Delta and ArcticDB get an environment of their own in a temporary folder; without network they
are left out.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.archive import N_NEW, N_OVERLAP, BenchedSeries
from benchmarks.measurement import machine, medians_ms, publish, table

ROUNDS = 15
PEERS = {
    "Delta, append of the new bars": ("delta", ["deltalake==1.6.6", "pandas==2.3.3", "pyarrow"]),
    "Delta, merge with the overlap": ("delta-merge", ["deltalake==1.6.6", "pandas==2.3.3", "pyarrow"]),
    "ArcticDB (LMDB), update": ("arcticdb", ["arcticdb==6.28.2", "pandas==2.3.3", "pyarrow", "pytz"]),
}  # fmt: skip
HELD = {
    "5,000 hours": ("1h", 5_000),
    "1,000,000 hours": ("1h", 1_000_000),
    "1,000,000 minutes": ("1", 1_000_000),
}
OURS, WHOLE = "**archive**, with the audit", "rewrite of one parquet file"
Runs = dict[str, dict[str, Callable[[], object]]]


class OneFile:
    """The same bars in one parquet file, which each refresh reads, extends and replaces durably."""

    def __init__(self, series: BenchedSeries) -> None:
        self.series, self.path = series, series.root / f"{series.key.symbol}-whole.parquet"
        self._write(series.load_by_pyarrow())

    def refresh(self) -> None:
        held = self.all()
        new = held.slice(held.num_rows - N_OVERLAP - N_NEW)
        self._write(pa.concat_tables([held.slice(0, held.num_rows - N_OVERLAP), new]))

    def _write(self, rows: pa.Table) -> None:
        temporary = self.path.with_suffix(".tmp")
        with temporary.open("wb") as file:
            pq.write_table(
                rows, file, compression="zstd", use_dictionary=False, row_group_size=16_384
            )
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(self.path)

    def all(self) -> pa.Table:
        return pq.ParquetFile(self.path, memory_map=True).read()

    def middle(self) -> pa.Table:
        times = self.series.middle()["time"]
        bounds = [("time", ">=", times[0].as_py()), ("time", "<=", times[-1].as_py())]
        return pq.read_table(self.path, filters=bounds)


@contextmanager
def environments(folder: Path) -> Iterator[dict[str, Path]]:
    """Yield the Python of each peer's environment; a peer that cannot be installed is left out."""
    found: dict[str, Path] = {}
    for name, (store, packages) in PEERS.items():
        place = folder / packages[0]
        python = place / "bin" / "python"
        try:
            if not python.exists():
                uv = str(Path(sys.executable).parent / "uv")
                _run(uv, "venv", "--quiet", f"--python={sys.executable}", str(place))
                _run(uv, "pip", "install", "--quiet", f"--python={python}", *packages)
        except (OSError, subprocess.SubprocessError) as error:
            print(f"{name} is left out: {packages[0]} could not be installed ({error}).")
            continue
        found[store] = python
    yield found


def _run(*arguments: str) -> None:
    subprocess.run(arguments, check=True, capture_output=True, timeout=600)


class Peer:
    """The process of another store, which does one command at a time."""

    def __init__(self, python: Path, store: str, folder: Path, series: BenchedSeries) -> None:
        script = Path(__file__).with_name("archive_peer.py")
        numbers = map(str, (series.first, series.step, series.n_bars))
        self._process = subprocess.Popen(
            [str(python), str(script), store, str(folder), *numbers],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._answer("ready")

    def do(self, command: str) -> None:
        assert self._process.stdin is not None
        print(command, file=self._process.stdin, flush=True)
        self._answer("done")

    def _answer(self, expected: str) -> None:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        if line != expected:
            raise RuntimeError(f"The peer answered {line!r}.")

    def stop(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=60)


def measure(folder: Path, pythons: dict[str, Path], held: str) -> list[list[str]]:
    """Return a row for each store: refresh, range and whole read of the same bars."""
    timeframe, n_bars = HELD[held]
    with ExitStack() as stack:
        series = BenchedSeries(folder, f"S{n_bars}{timeframe}", timeframe, n_bars)
        whole = OneFile(series)
        runs: Runs = {
            "refresh": {OURS: series.refresh, WHOLE: whole.refresh},
            "middle": {OURS: series.middle, WHOLE: whole.middle},
            "all": {OURS: series.load, WHOLE: whole.all},
        }
        for name, (store, _) in PEERS.items():
            if store not in pythons:
                continue
            place = folder / f"{store}-{timeframe}-{n_bars}"
            peer = Peer(pythons[store], store, place, series)
            stack.callback(peer.stop)
            for command, each in runs.items():
                each[name] = lambda peer=peer, command=command: peer.do(command)  # type: ignore[misc]
        medians = {
            command: medians_ms(each, rounds=ROUNDS if command != "all" else 5)
            for command, each in runs.items()
        }
    rows = []
    for name in runs["refresh"]:
        cells = [
            f"{medians[command][name]:.1f} ({medians[command][name] / medians[command][OURS]:.2f})"
            for command in runs
        ]
        rows.append([held, name, *cells])
    return rows


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with environments(folder / "environments") as pythons:
            rows = [row for held in HELD for row in measure(folder / "bars", pythons, held)]
    left_out = [name for name, (store, _) in PEERS.items() if store not in pythons]
    note = (
        f" Left out, because they could not be installed: {', '.join(left_out)}."
        if left_out
        else ""
    )
    text = (
        f"{machine()}; ms, median of {ROUNDS} (of 5 for all bars) in turns; in brackets: times the archive. A refresh "
        f"brings {N_NEW} new bars and {N_OVERLAP} that are held. The archive, the one file and ArcticDB sync their files "
        f"before it ends; Delta does not.{note}"
    )
    headings = ["bars held", "store", "refresh", f"{1000:,} bars of the middle", "all bars"]
    publish("Archive beside other stores", f"{text}\n\n{table(headings, rows)}")


if __name__ == "__main__":
    main()
