"""One store of bars of another project, in its own environment; `archive_stores` starts it.

Usage: python archive_peer.py delta|delta-merge|arcticdb FOLDER FIRST STEP N_BARS. Each line on stdin is a command,
`refresh`, `middle` or `all`; each answer is one line.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

N_NEW, N_OVERLAP, N_RANGE = 100, 64, 1000


class Bars:
    """The bars of the measured series, by their numbers."""

    def __init__(self, first: int, step: int, n_bars: int) -> None:
        self.first, self.step, self.n_bars = first, step, n_bars

    def frame(self, start: int, end: int) -> pd.DataFrame:
        numbers = np.arange(start, end)
        closes = np.round(100 + 20 * np.sin(numbers / 5000) + numbers * 7919 % 97 / 100, 2)
        opens = np.roll(closes, 1)
        times = pd.DatetimeIndex((self.first + self.step * numbers) * 10**9, name="time")
        columns = {
            "open": opens, "high": np.maximum(opens, closes) + 0.25,
            "low": np.minimum(opens, closes) - 0.25, "close": closes,
            "volume": numbers * 104_729 % 90_001 * 1.0,
        }  # fmt: skip
        return pd.DataFrame(columns, index=times)

    def table(self, start: int, end: int) -> pa.Table:
        frame = self.frame(start, end).tz_localize("UTC").reset_index()
        return pa.Table.from_pandas(frame, preserve_index=False)

    def middle(self) -> tuple[pd.Timestamp, pd.Timestamp]:
        """Return the first and the last opening of the range in the middle."""
        start = self.n_bars // 2
        first, last = (self.first + self.step * number for number in (start, start + N_RANGE - 1))
        return pd.Timestamp(first, unit="s"), pd.Timestamp(last, unit="s")


class Delta:
    """A Delta table: an append of the new bars, or a merge of them with the overlap."""

    def __init__(self, folder: Path, bars: Bars, *, is_merged: bool) -> None:
        import deltalake

        self.deltalake, self.bars, self.is_merged = deltalake, bars, is_merged
        self.path = str(folder)
        deltalake.write_deltalake(self.path, bars.table(0, bars.n_bars))
        self.opened = deltalake.DeltaTable(self.path)

    def refresh(self) -> None:
        start, end = self.bars.n_bars, self.bars.n_bars + N_NEW
        if self.is_merged:
            new = self.bars.table(start - N_OVERLAP, end)
            merger = self.opened.merge(new, "t.time = s.time", source_alias="s", target_alias="t")
            merger.when_matched_update_all().when_not_matched_insert_all().execute()
        else:
            self.deltalake.write_deltalake(self.opened, self.bars.table(start, end), mode="append")
        self.bars.n_bars = end

    def middle(self) -> int:
        first, last = (each.tz_localize("UTC").to_pydatetime() for each in self.bars.middle())
        found = self.opened.to_pyarrow_table(filters=[("time", ">=", first), ("time", "<=", last)])
        return int(found.num_rows)

    def all(self) -> int:
        return int(self.opened.to_pyarrow_table().num_rows)


class ArcticDB:
    """A library of ArcticDB in LMDB: an update of the new bars and the overlap."""

    def __init__(self, folder: Path, bars: Bars) -> None:
        import arcticdb

        self.bars = bars
        self.library = arcticdb.Arctic(f"lmdb://{folder}?map_size=4GB").create_library("bars")
        self.library.write("series", bars.frame(0, bars.n_bars))

    def refresh(self) -> None:
        start, end = self.bars.n_bars - N_OVERLAP, self.bars.n_bars + N_NEW
        self.library.update("series", self.bars.frame(start, end), prune_previous_versions=False)
        self.bars.n_bars = end

    def middle(self) -> int:
        return len(self.library.read("series", date_range=self.bars.middle()).data)

    def all(self) -> int:
        return len(self.library.read("series").data)


def make_store(name: str, folder: Path, bars: Bars) -> Any:
    if name == "arcticdb":
        return ArcticDB(folder, bars)
    return Delta(folder, bars, is_merged=name == "delta-merge")


def main() -> None:
    name, folder, *numbers = sys.argv[1:]
    bars = Bars(*map(int, numbers))
    store = make_store(name, Path(folder), bars)
    print("ready", flush=True)
    for line in sys.stdin:
        found = getattr(store, line.strip())()
        expected = {"middle": N_RANGE, "all": bars.n_bars}.get(line.strip())
        assert found == expected, (line, found, expected)
        print("done", flush=True)


if __name__ == "__main__":
    main()
