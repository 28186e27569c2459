"""`load_panel`: one column of many datasets, and the cache of panels."""

from __future__ import annotations

import errno
import json
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.bars import Instrument, make_table
from datasets.errors import FileCorrupt, InvalidRequest
from datasets.research import (
    DatasetNotFound,
    close_times,
    load,
    load_panel,
    panel_builder,
    panel_cache,
    verify_lock,
    write_lock,
)
from datasets.research.listings import list_folder
from datasets.research.panel_builder import PanelBuilder
from tests.support.factories import START, bars_table
from tests.support.study_files import write, write_sample

ROOT = Path(__file__).parents[2]
NAMES = ["LOAD:A", "LOAD:B", "LOAD:C"]


def write_three(folder: Path) -> None:
    write(folder, 20, symbol="LOAD:A")
    write(folder, table=bars_table(15, start=START + 5 * 3600), n_bars=15, symbol="LOAD:B")
    write(folder, table=bars_table(10, step=7200), n_bars=10, symbol="LOAD:C")


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count how often a panel is built."""
    counted: list[int] = []
    make = PanelBuilder.build

    def count(self: PanelBuilder, keys: Any, *args: Any, **options: Any) -> Any:
        counted.append(len(keys))
        return make(self, keys, *args, **options)

    monkeypatch.setattr(PanelBuilder, "build", count)
    return counted


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume"])
def test_a_panel_holds_the_values_of_its_datasets(tmp_path: Path, field: str, keep: bool) -> None:
    write_three(tmp_path)

    panel = load_panel(NAMES, "1h", field=field, keep=keep, folder=tmp_path)

    single = {name: load(name, folder=tmp_path)[field] for name in NAMES}
    expected = pd.concat(single, axis=1).sort_index()
    pd.testing.assert_frame_equal(panel, expected, check_freq=False)
    assert panel.columns.tolist() == NAMES


def test_an_inner_panel_has_the_times_that_all_have(tmp_path: Path) -> None:
    write_three(tmp_path)

    panel = load_panel(NAMES, "1h", join="inner", folder=tmp_path)

    outer = load_panel(NAMES, "1h", folder=tmp_path)
    pd.testing.assert_frame_equal(panel, outer.dropna())
    assert pd.DatetimeIndex(panel.index).hour.tolist() == [6, 8, 10, 12, 14, 16, 18]


def test_an_inner_panel_without_a_common_time_is_empty(tmp_path: Path) -> None:
    write(tmp_path, 5, symbol="LOAD:A")
    write(tmp_path, table=bars_table(5, start=START + 86_400), n_bars=5, symbol="LOAD:B")

    for _ in range(2):
        assert load_panel(NAMES[:2], "1h", join="inner", folder=tmp_path).shape == (0, 2)


def test_a_number_of_bars_may_be_one_of_numpy(tmp_path: Path) -> None:
    write_three(tmp_path)
    numbers: Any = np.arange(3, 5)

    panels = [load_panel(NAMES[:1], n_bars=n, folder=tmp_path) for n in numbers]

    assert [len(panel) for panel in panels] == [3, 4]


def test_columns_are_in_the_order_of_the_symbols(tmp_path: Path) -> None:
    write_three(tmp_path)

    panel = load_panel(NAMES[::-1], "1h", folder=tmp_path)

    assert panel.columns.tolist() == NAMES[::-1]
    assert [facts["key"]["symbol"] for facts in panel.attrs["members"]] == ["C", "B", "A"]


def test_a_range_is_cut_from_the_cached_panel(tmp_path: Path, builds: list[int]) -> None:
    write_three(tmp_path)
    whole = load_panel(NAMES, "1h", folder=tmp_path)

    part = load_panel(
        NAMES, "1h", start="2025-01-01T03:00", end="2025-01-01T09:00", folder=tmp_path
    )

    pd.testing.assert_frame_equal(part, whole.iloc[3:9])
    assert builds == [3]


def test_a_forming_bar_is_in_no_panel(tmp_path: Path) -> None:
    write(tmp_path, 20, symbol="LOAD:A", last_bar_final=False)
    write(tmp_path, 20, symbol="LOAD:B")

    assert load_panel(NAMES[:2], "1h", folder=tmp_path)["LOAD:A"].isna().tolist() == [
        False
    ] * 19 + [True]
    assert load_panel(NAMES[:2], "1h", closed=False, folder=tmp_path).notna().to_numpy().all()
    assert len(load_panel(NAMES[:1], "1h", n_bars=5, folder=tmp_path)) == 4


def test_rows_can_be_the_instants_at_which_values_are_known(tmp_path: Path) -> None:
    write_sample(tmp_path, "NASDAQ:AAPL", "1h", 20)
    write_sample(tmp_path, "BINANCE:BTCUSDT", "1h", 20)

    panel = load_panel(
        ["NASDAQ:AAPL", "BINANCE:BTCUSDT"],
        "1h",
        index="close_time",
        source="sample",
        folder=tmp_path,
    )

    assert panel.index.name == "close_time"
    # The last half hour of New York is known at 21:00, together with an hour of the coin's.
    row = panel.loc["2026-01-09T21:00Z"]
    assert (
        row["NASDAQ:AAPL"]
        == load("NASDAQ:AAPL", source="sample", folder=tmp_path)["close"].iloc[-1]
    )
    assert not np.isnan(row["BINANCE:BTCUSDT"])


@pytest.mark.parametrize("symbol", ["FX_IDC:EURUSD", "CME_MINI:ES1!", "NASDAQ:AAPL"])
@pytest.mark.parametrize("timeframe", ["1h", "1D", "1W"])
def test_the_last_row_of_a_panel_is_known_no_later_than_the_datasets_last_bar(
    tmp_path: Path, symbol: str, timeframe: str
) -> None:
    # On a Sunday, when every market is closed.
    write_sample(tmp_path, symbol, timeframe, 30, now=datetime(2026, 1, 11, 12, tzinfo=UTC))
    where: dict[str, Any] = {"source": "sample", "folder": tmp_path}

    panel = load_panel([symbol], timeframe, index="close_time", **where)

    assert panel.index.equals(
        pd.DatetimeIndex(close_times(load(symbol, timeframe, **where)), name="close_time")
    )


def test_bars_that_open_together_and_close_apart_have_rows_of_their_own(tmp_path: Path) -> None:
    """Two exchanges open their days at one instant, and one closes three hours before the other."""
    for name, hours in [("LOAD:A", "0000-1500"), ("LOAD:B", "0000-1800")]:
        instrument = Instrument(timezone="Etc/UTC", session_hours=hours)
        table = bars_table(3, step=86_400)
        write(tmp_path, table=table, n_bars=3, timeframe="1D", symbol=name, instrument=instrument)

    panel = load_panel(NAMES[:2], "1D", index="close_time", folder=tmp_path)

    assert pd.DatetimeIndex(panel.index).hour.tolist() == [15, 18] * 3
    assert panel.notna().to_numpy().tolist() == [[True, False], [False, True]] * 3


@st.composite
def studies(draw: Any) -> tuple[list[pa.Table], list[pa.Table], int]:
    """Return datasets, the same with every bar from an instant on changed, and that instant in ms."""
    changed_from = draw(st.integers(0, 60))
    before, after = [], []
    for _ in range(draw(st.integers(1, 3))):
        opened = draw(st.lists(st.integers(0, 60), min_size=1, max_size=40, unique=True))
        times = START + 3600 * np.sort(np.array(opened))
        rows = np.random.default_rng(len(opened)).uniform(1, 9, (len(times), 6))
        rows[:, 0] = times
        is_known = np.full(len(times), True)
        before.append(make_table(rows, has_volume=is_known))
        rows[times >= START + 3600 * changed_from, 1:] += 100
        after.append(make_table(rows, has_volume=is_known))
    return before, after, (START + 3600 * changed_from) * 1000


@settings(max_examples=25)
@given(study=studies(), join=st.sampled_from(["outer", "inner"]), is_final=st.booleans())
def test_changing_any_future_bar_never_changes_a_past_row(
    tmp_path_factory: pytest.TempPathFactory,
    study: tuple[list[pa.Table], list[pa.Table], int],
    join: Any,
    is_final: bool,
) -> None:
    *both, changed_from_ms = study
    changed_at = pd.Timestamp(changed_from_ms, unit="ms", tz="UTC")
    folders = [tmp_path_factory.mktemp("study") for _ in both]
    for folder, tables in zip(folders, both, strict=True):
        for name, table in zip(NAMES, tables, strict=False):
            write(folder, table=table, n_bars=60, symbol=name, last_bar_final=is_final)
    names = NAMES[: len(both[0])]

    for index, past in [("time", slice(None, changed_at - pd.Timedelta("1ms"))), ("close_time", slice(None, changed_at))]:  # fmt: skip
        first, second = (
            load_panel(names, join=join, index=index, folder=folder)  # type: ignore[arg-type]
            for folder in folders
        )
        pd.testing.assert_frame_equal(first.loc[past], second.loc[past])
        assert first.index.equals(second.index)


def test_a_cached_panel_is_mapped_and_not_built_again(tmp_path: Path, builds: list[int]) -> None:
    write_three(tmp_path)

    first = load_panel(NAMES, "1h", folder=tmp_path)
    second = load_panel(NAMES, "1h", folder=tmp_path)

    pd.testing.assert_frame_equal(first, second)
    assert builds == [3]
    assert second.attrs["members"].entries == first.attrs["members"].entries
    maps = Path("/proc/self/maps").read_text()
    assert str(tmp_path / "state/panels") in maps or str(os.environ.get("STATE_DIR")) in maps


def test_a_panel_is_built_again_when_a_member_changes(tmp_path: Path, builds: list[int]) -> None:
    write_three(tmp_path)
    before = load_panel(NAMES, "1h", folder=tmp_path)

    write(tmp_path, table=bars_table(20, start=START + 3600), n_bars=20, symbol="LOAD:A")
    after = load_panel(NAMES, "1h", folder=tmp_path)

    assert builds == [3, 3]
    assert after["LOAD:A"].dropna().tolist() == load("LOAD:A", folder=tmp_path)["close"].tolist()
    # A frame of the old panel keeps its values.
    assert len(before) == 20
    assert before["LOAD:A"].notna().all()


def test_a_panel_is_built_again_when_a_larger_dataset_comes(tmp_path: Path) -> None:
    write_three(tmp_path)
    load_panel(NAMES, "1h", folder=tmp_path)

    write(tmp_path, 50, symbol="LOAD:B")

    assert load_panel(NAMES, "1h", folder=tmp_path)["LOAD:B"].notna().sum() == 50


def test_a_file_that_is_overwritten_in_place_is_noticed(tmp_path: Path) -> None:
    write_three(tmp_path)
    load_panel(NAMES, "1h", folder=tmp_path)
    folder = tmp_path / "datasets/tradingview"
    changed = folder / "LOAD_A_1h_20.parquet"
    write(tmp_path / "other", table=bars_table(20, start=START + 3600), n_bars=20, symbol="LOAD:A")

    changed.write_bytes((tmp_path / "other/datasets/tradingview/LOAD_A_1h_20.parquet").read_bytes())

    panel = load_panel(NAMES, "1h", folder=tmp_path)
    assert panel["LOAD:A"].first_valid_index() == pd.Timestamp("2025-01-01T01:00Z")


def test_a_file_that_is_overwritten_with_the_same_size_and_time_is_noticed(tmp_path: Path) -> None:
    write_three(tmp_path)
    path = tmp_path / "datasets/tradingview/LOAD_A_1h_20.parquet"
    other = file_of_size(tmp_path / "other", path)
    load_panel(NAMES, "1h", folder=tmp_path)
    load("LOAD:A", folder=tmp_path)
    status = path.stat()

    path.write_bytes(other)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))

    later = pd.Timestamp("2025-01-01T01:00Z")
    assert path.stat().st_size == status.st_size
    assert load_panel(NAMES, "1h", folder=tmp_path)["LOAD:A"].first_valid_index() == later
    assert load("LOAD:A", folder=tmp_path).index[0] == later


def file_of_size(folder: Path, path: Path) -> bytes:
    """Return a file of LOAD:A with later bars, with as many bytes as the file at `path`."""
    table = bars_table(20, start=START + 3600)
    size, text = path.stat().st_size, ""
    while True:
        instrument = Instrument(timezone="Etc/UTC", session_hours="24x7", description=text)
        write(folder, table=table, n_bars=20, symbol="LOAD:A", instrument=instrument)
        content = (folder / "datasets/tradingview/LOAD_A_1h_20.parquet").read_bytes()
        if len(content) == size:
            return content
        text += "x"
        assert len(content) < size


def test_a_panel_can_be_written_to_parquet_and_locked_from_there(tmp_path: Path) -> None:
    write_three(tmp_path)
    panel = load_panel(NAMES, "1h", folder=tmp_path)
    path = tmp_path / "panel.parquet"

    panel.pct_change(fill_method=None).to_parquet(path)
    panel.to_parquet(path)

    again = pd.read_parquet(path)
    pd.testing.assert_frame_equal(again, panel, check_flags=False)
    assert write_lock(tmp_path / "study.lock", again) == 3
    assert verify_lock(tmp_path / "study.lock", folder=tmp_path) == []


def test_a_deleted_member_is_named(tmp_path: Path) -> None:
    write_three(tmp_path)
    load_panel(NAMES, "1h", folder=tmp_path)
    (tmp_path / "datasets/tradingview/LOAD_B_1h_15.parquet").unlink()

    with pytest.raises(DatasetNotFound, match="LOAD:B 1h, LOAD:D 1h are not among the 2 datasets"):
        load_panel([*NAMES, "LOAD:D"], "1h", folder=tmp_path)
    with pytest.raises(DatasetNotFound, match="manage.py fetch LOAD:B -t 1h -n 5000"):
        load_panel(NAMES, "1h", folder=tmp_path)


def test_changing_a_frame_never_changes_the_cached_panel(tmp_path: Path) -> None:
    write_three(tmp_path)
    first = load_panel(NAMES, "1h", folder=tmp_path)
    expected = first.copy()

    first.iloc[:, :] = -1.0
    first.to_numpy()

    pd.testing.assert_frame_equal(load_panel(NAMES, "1h", folder=tmp_path), expected)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: None,
        lambda content: b"",
        lambda content: content[: len(content) * 6 // 10],
        lambda content: content[:-1],
        lambda content: bytes(len(content)),
        lambda content: b"no panel of ours, but long enough to be mapped",
    ],
)
def test_a_damaged_panel_is_built_again(
    tmp_path: Path, builds: list[int], spoil: Callable[[bytes], bytes | None]
) -> None:
    """The file may be gone, be cut short, or hold something else."""
    write_three(tmp_path)
    cache = tmp_path / "cache"
    expected = load_panel(NAMES, "1h", folder=tmp_path, cache=cache)
    (path,) = cache.glob("*.panel")
    content = spoil(path.read_bytes())
    path.unlink()
    if content is not None:
        path.write_bytes(content)

    for _ in range(2):
        panel = load_panel(NAMES, "1h", folder=tmp_path, cache=cache)
        pd.testing.assert_frame_equal(panel, expected)
        assert len(panel.attrs["members"]) == 3
    assert builds == [3, 3]


def test_a_panel_that_was_not_synced_to_the_disk_is_not_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the sync, a power cut could leave a panel of zeros."""
    write_three(tmp_path)
    cache = tmp_path / "cache"

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    panel = load_panel(NAMES, "1h", folder=tmp_path, cache=cache)

    pd.testing.assert_frame_equal(panel, load_panel(NAMES, "1h", folder=tmp_path, keep=False))
    assert not [path for path in cache.iterdir() if path.name != "requests"]


def test_datasets_outside_the_panel_may_come_and_go(tmp_path: Path, builds: list[int]) -> None:
    write_three(tmp_path)
    first = load_panel(NAMES, "1h", folder=tmp_path)

    write(tmp_path, 20, symbol="LOAD:D")
    write(tmp_path, 5, symbol="LOAD:A", session="extended")
    for _ in range(2):
        pd.testing.assert_frame_equal(load_panel(NAMES, "1h", folder=tmp_path), first)

    assert builds == [3]


def test_a_larger_dataset_that_comes_during_a_build_is_in_the_next_panel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_three(tmp_path)
    listing = list_folder(tmp_path / "datasets/tradingview")
    write(tmp_path, 50, symbol="LOAD:A")

    with monkeypatch.context() as earlier:
        earlier.setattr(panel_builder, "list_folder", lambda folder: listing)
        assert len(load_panel(NAMES, "1h", folder=tmp_path)) == 20
    assert len(load_panel(NAMES, "1h", folder=tmp_path)) == 50


def test_processes_that_build_one_panel_at_once_all_get_it(tmp_path: Path) -> None:
    write_three(tmp_path)
    cache = tmp_path / "cache"
    script = (
        "import sys\n"
        "from pathlib import Path\n"
        "from datasets.research import load_panel\n"
        "print('ready', flush=True)\n"
        "sys.stdin.readline()\n"
        "for n_bars in range(1, 11):\n"
        f"    panel = load_panel({NAMES!r}, '1h', n_bars=n_bars, folder={str(tmp_path)!r}, cache={str(cache)!r})\n"
        "    print(float(panel.sum().sum()))\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"

    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60)[0].split() for process in processes]

    expected = [
        str(float(load_panel(NAMES, n_bars=n, folder=tmp_path, keep=False).sum().sum()))
        for n in range(1, 11)
    ]
    assert [process.returncode for process in processes] == [0, 0]
    assert answers == [expected] * 2
    assert len(list(cache.glob("*.panel"))) == 10
    assert not list(cache.rglob("*.tmp"))


def test_old_leftovers_of_a_killed_process_or_an_earlier_version_are_removed(
    tmp_path: Path,
) -> None:
    write_three(tmp_path)
    cache = tmp_path / "cache"
    (cache / "requests").mkdir(parents=True)
    for name, age_days in [(".old.tmp", 30), (".new.tmp", 0), ("requests/old.json", 8)]:
        (cache / name).write_bytes(b"half")
        os.utime(cache / name, times=(time.time() - 86_400 * age_days,) * 2)
    (cache / "folder").mkdir()
    os.utime(cache / "folder", times=(0, 0))

    load_panel(NAMES, "1h", folder=tmp_path, cache=cache)

    others = [path for path in cache.iterdir() if path.suffix != ".panel"]
    assert sorted(path.name for path in others) == [".new.tmp", "requests"]
    assert not (cache / "requests/old.json").exists()


def test_a_panel_is_right_where_the_cache_cannot_be_written(tmp_path: Path) -> None:
    write_three(tmp_path)
    (tmp_path / "cache").write_text("in the way")

    panel = load_panel(NAMES, "1h", folder=tmp_path, cache=tmp_path / "cache")

    pd.testing.assert_frame_equal(panel, load_panel(NAMES, "1h", folder=tmp_path, keep=False))


def test_panels_that_are_not_used_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_three(tmp_path)
    cache = tmp_path / "cache"
    monkeypatch.setattr(panel_cache, "MAX_KEPT_BYTES", 1000)

    for field in ("open", "high", "low"):
        load_panel(NAMES, "1h", field=field, folder=tmp_path, cache=cache)

    assert len(list(cache.glob("*.panel"))) == 1
    assert not list(cache.glob("*.tmp"))


def test_verifying_finds_a_change_that_reading_a_column_does_not(tmp_path: Path) -> None:
    write_three(tmp_path)
    path = tmp_path / "datasets/tradingview/LOAD_A_1h_20.parquet"
    changed = bars_table(20, start=START + 60).replace_schema_metadata(
        pq.read_schema(path).metadata
    )
    pq.write_table(changed, path)

    load_panel(NAMES, "1h", folder=tmp_path)
    with pytest.raises(FileCorrupt, match="does not hold the bars"):
        load_panel(NAMES, "1h", verify=True, folder=tmp_path)


def test_a_panel_can_be_sent_to_another_process(tmp_path: Path) -> None:
    write_three(tmp_path)
    panel = load_panel(NAMES, "1h", folder=tmp_path)

    copied = pickle.loads(pickle.dumps(panel))

    pd.testing.assert_frame_equal(copied, panel)
    assert copied.attrs["members"].entries == panel.attrs["members"].entries
    assert json.dumps(panel.attrs["members"].entries)
    assert panel.pct_change(fill_method=None).attrs["members"] is panel.attrs["members"]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"field": "Close"}, "field"),
        ({"join": "left"}, "join"),
        ({"index": "end"}, "index"),
        ({"symbols": []}, "symbols"),
        ({"symbols": ["LOAD:A", "load:a"]}, "symbols"),
        ({"symbols": [7]}, "symbol"),
        ({"n_bars": 0}, "n_bars"),
        ({"n_bars": 10.0}, "n_bars"),
    ],
)
def test_a_wrong_argument_is_named(tmp_path: Path, options: dict[str, Any], field: str) -> None:
    write_three(tmp_path)

    usual: dict[str, Any] = {"symbols": NAMES, "folder": tmp_path}
    with pytest.raises(InvalidRequest) as refused:
        load_panel(**usual | options)

    assert list(refused.value.errors) == [field]


def test_many_members_need_no_more_than_a_few_open_files(tmp_path: Path) -> None:
    names = [f"LOAD:S{number}" for number in range(60)]
    for name in names:
        write(tmp_path, 5, symbol=name, fetched_at=datetime(2025, 6, 1, tzinfo=UTC))
    before = len(list(Path("/proc/self/fd").iterdir()))

    panel = load_panel(names, "1h", folder=tmp_path)

    assert panel.shape == (5, 60)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
