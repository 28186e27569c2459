"""Part 5: the archive: refresh of a small and of a large series, a range, and a whole load."""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measurement import machine, medians_ms, publish, table
from datasets.archive.preparation import prepared
from datasets.bars import FetchedBars, make_table
from datasets.bars.series_keys import SeriesKey
from datasets.storage.archives.archive_files import from_ms
from datasets.storage.archives.archive_paths import relative_folder
from datasets.storage.archives.archive_places import Archives, FolderArchives
from datasets.storage.archives.archive_queries import read_newest, read_range
from tests.support.factories import a_key, fetched_bars

ROUNDS = 15
N_NEW, N_OVERLAP = 100, 64
END = datetime(2026, 6, 1, tzinfo=UTC)


class BenchedSeries:
    """A series with `n_bars` bars, which grows by 100 bars a refresh."""

    def __init__(
        self, root: Path, symbol: str, timeframe: str, n_bars: int, *, place: Archives | None = None
    ) -> None:
        self.root = root
        self.key = SeriesKey.of(a_key(symbol=symbol, timeframe=timeframe))
        self.place = place or FolderArchives(root)
        self.folder = self.place.folder(relative_folder(self.key))
        self.step = 3600 if timeframe == "1h" else 60
        self.first, self.n_bars = int(END.timestamp()) - n_bars * self.step, n_bars
        self.fetched_at = END
        self._merge(self._bars(0, n_bars))

    def _bars(self, start: int, end: int) -> FetchedBars:
        """Return the bars with these numbers; a bar has the same values each time."""
        numbers = np.arange(start, end)
        closes = np.round(100 + 20 * np.sin(numbers / 5000) + numbers * 7919 % 97 / 100, 2)
        opens = np.round(
            100 + 20 * np.sin((numbers - 1) / 5000) + (numbers - 1) * 7919 % 97 / 100, 2
        )
        rows = np.column_stack(
            [
                self.first + self.step * numbers, opens, np.maximum(opens, closes) + 0.25,
                np.minimum(opens, closes) - 0.25, closes, numbers * 104_729 % 90_001,
            ]
        ).astype(float)  # fmt: skip
        bars = make_table(rows, has_volume=np.ones(len(numbers), dtype=bool))
        return fetched_bars(bars, fetched_at=self.fetched_at)

    def refresh(self) -> None:
        """Merge 100 new bars with 64 of overlap, up to the durable state."""
        self.fetched_at += timedelta(hours=1)
        self._merge(self._bars(self.n_bars - N_OVERLAP, self.n_bars + N_NEW))
        self.n_bars += N_NEW

    def _merge(self, fetched: FetchedBars) -> None:
        with prepared(self.place, self.key, fetched, is_whole_window=False) as new:
            new.commit()

    def middle(self) -> pa.Table:
        """Return 1,000 bars from the middle."""
        start = from_ms((self.first + self.n_bars // 2 * self.step) * 1000)
        found = read_range(self.folder, start, start + timedelta(seconds=1000 * self.step)).rows
        assert found.num_rows == 1000
        return found

    def load(self) -> pa.Table:
        return read_range(self.folder).rows

    def load_by_pyarrow(self) -> pa.Table:
        """Read the same files and columns without a check."""
        paths = sorted(self.folder.path.glob("*.parquet"))
        columns = self.load_columns
        return pa.concat_tables([pq.ParquetFile(path).read(columns=columns) for path in paths])

    load_columns = ["time", "open", "high", "low", "close", "volume", "seen_at"]

    def rewrite_whole(self) -> None:
        """Read all files, add the new bars, and write one file, as a store of one file would."""
        rows = pa.concat_tables([self.load_by_pyarrow(), self.load_by_pyarrow().slice(0, N_NEW)])
        pq.write_table(rows, self.root / "whole.parquet", compression="zstd", use_dictionary=False)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        series = {
            "5,000 hours": BenchedSeries(root, "SMALL", "1h", 5_000),
            "8,760 hours, one year": BenchedSeries(root, "YEAR", "1h", 8_760),
            "1,000,000 hours": BenchedSeries(root, "HOURS", "1h", 1_000_000),
            "1,000,000 minutes": BenchedSeries(root, "MINUTES", "1", 1_000_000),
        }
        refreshed = medians_ms({name: each.refresh for name, each in series.items()}, rounds=ROUNDS)
        ranges = medians_ms({name: each.middle for name, each in series.items()}, rounds=ROUNDS)
        newest = medians_ms(
            {
                name: lambda each=each: read_newest(each.folder, 1000)
                for name, each in series.items()
            },  # type: ignore[misc]
            rounds=ROUNDS,
        )
        large = {name: each for name, each in series.items() if "1,000,000" in name}
        loads = medians_ms(
            {
                run: call
                for name, each in large.items()
                for run, call in ((name, each.load), (f"{name} by pyarrow", each.load_by_pyarrow))
            },
            rounds=7,
        )
        rewritten = medians_ms({name: each.rewrite_whole for name, each in large.items()}, rounds=5)
    small = refreshed["5,000 hours"]
    rows = [
        [
            name, f"{refreshed[name]:.1f}", f"{refreshed[name] / small:.2f}",
            f"{ranges[name]:.1f}", f"{newest[name]:.1f}",
            f"{loads[name]:.0f}" if name in loads else "",
            f"{loads[name] / loads[f'{name} by pyarrow']:.2f}" if name in loads else "",
            f"{rewritten[name]:.0f}" if name in rewritten else "",
        ]
        for name in series
    ]  # fmt: skip
    publish(
        "Archive",
        f"{machine()}; median of {ROUNDS} in turns; a refresh merges {N_NEW} new bars and {N_OVERLAP} that are held, "
        "with the audit, up to the durable state\n\n"
        + table(
            [
                "bars held", "refresh, ms", "times the first", "1,000 of the middle, ms", "newest 1,000, ms",
                "load of all, ms", "times bare pyarrow", "rewrite as one file, ms",
            ],
            rows,
        ),
    )  # fmt: skip


if __name__ == "__main__":
    main()
