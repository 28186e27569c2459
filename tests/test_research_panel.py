"""One column of many datasets, and the panels that are kept."""

from __future__ import annotations

import json
import os
import pickle
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from datasets.errors import FileCorrupt, InvalidRequest
from datasets.research import DatasetNotFound, load, load_panel
from datasets.research import keeping as keeping_module
from datasets.research.making import Maker
from tests.bars import START, bars_table
from tests.research import write, write_sample

NAMES = ["LOAD:A", "LOAD:B", "LOAD:C"]


def write_three(folder: Path) -> None:
    write(folder, 20, symbol="LOAD:A")
    write(folder, table=bars_table(15, start=START + 5 * 3600), n_bars=15, symbol="LOAD:B")
    write(folder, table=bars_table(10, step=7200), n_bars=10, symbol="LOAD:C")


@pytest.fixture
def makings(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count how often a panel is made anew."""
    counted: list[int] = []
    make = Maker.make

    def count(self: Maker, keys: Any, *args: Any, **options: Any) -> Any:
        counted.append(len(keys))
        return make(self, keys, *args, **options)

    monkeypatch.setattr(Maker, "make", count)
    return counted


@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.parametrize("field", ["open", "high", "low", "close", "volume"])
def test_a_panel_holds_what_the_datasets_hold(tmp_path: Path, field: str, keep: bool) -> None:
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


def test_columns_stand_in_the_order_asked_for(tmp_path: Path) -> None:
    write_three(tmp_path)

    panel = load_panel(NAMES[::-1], "1h", folder=tmp_path)

    assert panel.columns.tolist() == NAMES[::-1]
    assert [facts["key"]["symbol"] for facts in panel.attrs["members"]] == ["C", "B", "A"]


def test_a_range_is_cut_from_the_kept_panel(tmp_path: Path, makings: list[int]) -> None:
    write_three(tmp_path)
    whole = load_panel(NAMES, "1h", folder=tmp_path)

    part = load_panel(
        NAMES, "1h", start="2025-01-01T03:00", end="2025-01-01T09:00", folder=tmp_path
    )

    pd.testing.assert_frame_equal(part, whole.iloc[3:9])
    assert makings == [3]


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


def test_a_kept_panel_is_mapped_and_not_made_again(tmp_path: Path, makings: list[int]) -> None:
    write_three(tmp_path)

    first = load_panel(NAMES, "1h", folder=tmp_path)
    second = load_panel(NAMES, "1h", folder=tmp_path)

    pd.testing.assert_frame_equal(first, second)
    assert makings == [3]
    assert second.attrs["members"].entries == first.attrs["members"].entries
    maps = Path("/proc/self/maps").read_text()
    assert str(tmp_path / "state/panels") in maps or str(os.environ.get("STATE_DIR")) in maps


def test_a_panel_is_made_again_when_a_member_changes(tmp_path: Path, makings: list[int]) -> None:
    write_three(tmp_path)
    before = load_panel(NAMES, "1h", folder=tmp_path)

    write(tmp_path, table=bars_table(20, start=START + 3600), n_bars=20, symbol="LOAD:A")
    after = load_panel(NAMES, "1h", folder=tmp_path)

    assert makings == [3, 3]
    assert after["LOAD:A"].dropna().tolist() == load("LOAD:A", folder=tmp_path)["close"].tolist()
    # Who has the old one keeps it.
    assert len(before) == 20
    assert before["LOAD:A"].notna().all()


def test_a_panel_is_made_again_when_a_larger_dataset_comes(tmp_path: Path) -> None:
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


def test_a_member_that_goes_is_named(tmp_path: Path) -> None:
    write_three(tmp_path)
    load_panel(NAMES, "1h", folder=tmp_path)
    (tmp_path / "datasets/tradingview/LOAD_B_1h_15.parquet").unlink()

    with pytest.raises(DatasetNotFound, match="LOAD:B 1h, LOAD:D 1h are not among the 2 datasets"):
        load_panel([*NAMES, "LOAD:D"], "1h", folder=tmp_path)
    with pytest.raises(DatasetNotFound, match="manage.py fetch LOAD:B -t 1h -n 5000"):
        load_panel(NAMES, "1h", folder=tmp_path)


def test_changing_a_frame_never_changes_the_kept_panel(tmp_path: Path) -> None:
    write_three(tmp_path)
    first = load_panel(NAMES, "1h", folder=tmp_path)
    expected = first.copy()

    first.iloc[:, :] = -1.0
    first.to_numpy()

    pd.testing.assert_frame_equal(load_panel(NAMES, "1h", folder=tmp_path), expected)


@pytest.mark.parametrize("name", ["values.npy", "times.npy", "symbols.json", "members.json"])
def test_a_spoilt_panel_is_made_again(tmp_path: Path, name: str) -> None:
    write_three(tmp_path)
    cache = tmp_path / "cache"
    expected = load_panel(NAMES, "1h", folder=tmp_path, cache=cache)
    next(cache.glob(f"*/{name}")).unlink()

    for _ in range(2):
        pd.testing.assert_frame_equal(
            load_panel(NAMES, "1h", folder=tmp_path, cache=cache), expected
        )


def test_a_panel_is_right_where_nothing_can_be_kept(tmp_path: Path) -> None:
    write_three(tmp_path)
    (tmp_path / "cache").write_text("in the way")

    panel = load_panel(NAMES, "1h", folder=tmp_path, cache=tmp_path / "cache")

    pd.testing.assert_frame_equal(panel, load_panel(NAMES, "1h", folder=tmp_path, keep=False))


def test_panels_that_nobody_uses_are_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_three(tmp_path)
    cache = tmp_path / "cache"
    monkeypatch.setattr(keeping_module, "MAX_KEPT_BYTES", 1000)

    for field in ("open", "high", "low"):
        load_panel(NAMES, "1h", field=field, folder=tmp_path, cache=cache)

    assert len(list(cache.glob("*/values.npy"))) == 1
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
    ],
)
def test_a_wrong_argument_is_named(tmp_path: Path, options: dict[str, Any], field: str) -> None:
    write_three(tmp_path)

    usual: dict[str, Any] = {"symbols": NAMES, "folder": tmp_path}
    with pytest.raises(InvalidRequest) as refused:
        load_panel(**usual | options)

    assert list(refused.value.errors) == [field]


def test_many_members_need_no_more_than_a_few_open_files(tmp_path: Path) -> None:
    names = [f"LOAD:S{number}" for number in range(200)]
    for name in names:
        write(tmp_path, 5, symbol=name, fetched_at=datetime(2025, 6, 1, tzinfo=UTC))
    before = len(list(Path("/proc/self/fd").iterdir()))

    panel = load_panel(names, "1h", folder=tmp_path)

    assert panel.shape == (5, 200)
    assert len(list(Path("/proc/self/fd").iterdir())) <= before + 2
