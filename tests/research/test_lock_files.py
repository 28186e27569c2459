"""Lock files of studies."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from datasets.bars import Instrument
from datasets.errors import FileCorrupt, InvalidRequest
from datasets.research import (
    FolderUnavailable,
    LockMismatch,
    load,
    load_panel,
    lock_files,
    resample,
    verify_lock,
    write_lock,
)
from tests.support.factories import START, bars_table
from tests.support.study_files import write


@pytest.fixture(autouse=True)
def nothing_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_files, "_noted", {})
    monkeypatch.setattr(lock_files, "_older", {})


def test_a_lock_names_key_content_bars_and_range(tmp_path: Path) -> None:
    write(tmp_path, 20)
    bars = load("BINANCE:BTCUSDT", folder=tmp_path)

    assert write_lock(tmp_path / "study.lock", bars) == 1

    assert json.loads((tmp_path / "study.lock").read_text()) == {
        "format": 1,
        "datasets": [
            {
                "source": "tradingview", "exchange": "BINANCE", "symbol": "BTCUSDT", "timeframe": "1h",
                "n_bars": 20, "session": "regular", "adjustment": "splits",
                "content_hash": bars.attrs["content_hash"], "n_rows": 20,
                "first_time": "2025-01-01T00:00:00+00:00", "last_time": "2025-01-01T19:00:00+00:00",
                "fetched_at": "2025-06-01T00:00:00+00:00", "last_bar_final": True,
                "session_hours": "24x7", "timezone": "Etc/UTC", "session_display": "",
                    "session_holidays": "", "session_correction": "", "subsession": "", "delay_s": 0,
            }
        ],
    }  # fmt: skip


def test_a_lock_of_everything_names_each_loaded_dataset_once(tmp_path: Path) -> None:
    for name in ("LOAD:A", "LOAD:B", "LOAD:C"):
        write(tmp_path, 48, symbol=name)
    load("LOAD:C", folder=tmp_path, as_="arrow")
    load("LOAD:A", folder=tmp_path)
    load_panel(["LOAD:A", "LOAD:B"], folder=tmp_path)
    load_panel(["LOAD:A", "LOAD:B"], folder=tmp_path)

    assert write_lock(tmp_path / "study.lock") == 3
    days = resample(load("LOAD:A", folder=tmp_path), "1D")
    assert write_lock(tmp_path / "study.lock", days, load_panel(["LOAD:B"], folder=tmp_path)) == 2
    assert verify_lock(tmp_path / "study.lock", folder=tmp_path) == []


def test_locked_content_is_loaded(tmp_path: Path) -> None:
    write(tmp_path, 20)
    lock = tmp_path / "study.lock"
    write_lock(lock, load("BINANCE:BTCUSDT", folder=tmp_path))
    # A larger dataset must not replace the locked one.
    write(tmp_path, 50)

    assert len(load("BINANCE:BTCUSDT", lock=lock, folder=tmp_path)) == 20
    assert len(load("BINANCE:BTCUSDT", n_bars=10, lock=lock, folder=tmp_path)) == 10
    assert load_panel(["BINANCE:BTCUSDT"], lock=lock, folder=tmp_path).shape == (20, 1)
    assert len(load("BINANCE:BTCUSDT", folder=tmp_path)) == 50


def test_the_same_bars_fetched_again_match_the_lock(tmp_path: Path) -> None:
    write(tmp_path, 20)
    lock = tmp_path / "study.lock"
    write_lock(lock, load("BINANCE:BTCUSDT", folder=tmp_path))

    write(tmp_path, 20, fetched_at=datetime(2025, 7, 1, tzinfo=UTC))

    assert len(load("BINANCE:BTCUSDT", lock=lock, folder=tmp_path)) == 20
    assert verify_lock(lock, folder=tmp_path) == []


@pytest.mark.parametrize(
    "before",
    [
        {"last_bar_final": False},
        {"last_bar_final": None, "fetched_at": datetime(2025, 1, 1, 19, 30, tzinfo=UTC)},
        {"instrument": Instrument(timezone="Etc/UTC", session_hours="0000-1930")},
        {"instrument": Instrument(timezone="", session_hours="", delay_s=900)},
    ],
)
def test_equal_bars_with_other_facts_give_the_rows_that_were_locked(
    tmp_path: Path, before: dict[str, Any]
) -> None:
    columns = ["close", "close_time"]
    write(tmp_path, 20, **before)
    lock = tmp_path / "study.lock"
    bars = load("BINANCE:BTCUSDT", columns=columns, folder=tmp_path)
    panel = load_panel(["BINANCE:BTCUSDT"], index="close_time", folder=tmp_path)
    write_lock(lock, bars)

    write(tmp_path, 20, fetched_at=datetime(2025, 7, 1, tzinfo=UTC))

    again = load("BINANCE:BTCUSDT", columns=columns, lock=lock, folder=tmp_path)
    pd.testing.assert_frame_equal(again, bars)
    locked = load_panel(["BINANCE:BTCUSDT"], index="close_time", lock=lock, folder=tmp_path)
    pd.testing.assert_frame_equal(locked, panel)
    assert not load("BINANCE:BTCUSDT", columns=columns, folder=tmp_path).equals(bars)
    # A lock of what was loaded by a lock is the same lock.
    write_lock(tmp_path / "second.lock", again)
    assert (tmp_path / "second.lock").read_text() == lock.read_text()


def test_a_lock_of_version_0_3_0_is_read(tmp_path: Path) -> None:
    write(tmp_path, 20, last_bar_final=False)
    lock = tmp_path / "study.lock"
    write_lock(lock, load("BINANCE:BTCUSDT", folder=tmp_path))
    document = json.loads(lock.read_text())
    for name in ("last_bar_final", "session_hours", "timezone", "delay_s"):
        del document["datasets"][0][name]
    lock.write_text(json.dumps(document))

    assert len(load("BINANCE:BTCUSDT", lock=lock, folder=tmp_path)) == 19


def test_other_content_is_refused_and_the_changes_are_named(tmp_path: Path) -> None:
    write(tmp_path, 20)
    lock = tmp_path / "study.lock"
    write_lock(lock, load("BINANCE:BTCUSDT", folder=tmp_path))

    fetched_at = datetime(2025, 7, 1, tzinfo=UTC)
    write(tmp_path, table=bars_table(20, start=START + 3600), n_bars=20, fetched_at=fetched_at)

    with pytest.raises(LockMismatch) as refused:
        load("BINANCE:BTCUSDT", lock=lock, folder=tmp_path)
    with pytest.raises(LockMismatch):
        load_panel(["BINANCE:BTCUSDT"], lock=lock, folder=tmp_path)
    message = str(refused.value)
    assert message.startswith(
        "BINANCE:BTCUSDT 1h 20 (tradingview) has changed: first bar 2025-01-01T00"
    )
    assert "last bar 2025-01-01T19:00:00+00:00 → 2025-01-01T20:00:00+00:00" in message
    assert "fetched 2025-06-01T00:00:00+00:00 → 2025-07-01T00:00:00+00:00" in message
    assert message.endswith("Locked in study.lock.")
    assert len(verify_lock(lock, folder=tmp_path)) == 1


def test_other_values_in_the_same_range_are_named_as_such(tmp_path: Path) -> None:
    write(tmp_path, 20)
    lock = tmp_path / "study.lock"
    write_lock(lock, load("BINANCE:BTCUSDT", folder=tmp_path))

    table = bars_table(20, has_volume=False)
    write(tmp_path, table=table, n_bars=20)

    with pytest.raises(LockMismatch, match="the same range of bars, other values in it"):
        load("BINANCE:BTCUSDT", lock=lock, folder=tmp_path)


def test_a_dataset_outside_the_lock_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 20)
    write(tmp_path, 20, symbol="LOAD:A")
    lock = tmp_path / "study.lock"
    write_lock(lock, load("BINANCE:BTCUSDT", folder=tmp_path))

    for options in ({"symbol": "LOAD:A"}, {"symbol": "BINANCE:BTCUSDT", "n_bars": 30}):
        with pytest.raises(LockMismatch, match=r"is not in study\.lock, which locks 1 datasets"):
            load(**options, lock=lock, folder=tmp_path)


def test_verifying_reads_every_bar(tmp_path: Path) -> None:
    for name in ("LOAD:A", "LOAD:B", "LOAD:C"):
        write(tmp_path, 20, symbol=name)
    lock = tmp_path / "study.lock"
    write_lock(lock, load_panel(["LOAD:A", "LOAD:B", "LOAD:C"], folder=tmp_path))
    folder = tmp_path / "datasets/tradingview"
    path = folder / "LOAD_A_1h_20.parquet"
    changed = bars_table(20, start=START + 60).replace_schema_metadata(
        pq.read_schema(path).metadata
    )
    pq.write_table(changed, path)
    (folder / "LOAD_B_1h_20.parquet").unlink()

    assert verify_lock(lock, folder=tmp_path) == [
        "LOAD_A_1h_20.parquet does not hold the bars that were written; fetch it again.",
        "LOAD:B 1h 20 (tradingview) is not there.",
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 9, "datasets": []}', '{"format": 1}'])
def test_a_file_that_is_no_lock_file_is_refused(tmp_path: Path, text: str) -> None:
    write(tmp_path, 20)
    (tmp_path / "study.lock").write_text(text)

    with pytest.raises(InvalidRequest, match="is no lock file"):
        load("BINANCE:BTCUSDT", lock=tmp_path / "study.lock", folder=tmp_path)


def test_a_lock_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    write(tmp_path, 20)
    bars = load("BINANCE:BTCUSDT", folder=tmp_path)
    (tmp_path / "folder").mkdir()

    for path in (tmp_path / "folder", tmp_path / "no" / "study.lock"):
        with pytest.raises(InvalidRequest, match="cannot be written"):
            write_lock(path, bars)
    assert not list(tmp_path.glob(".*"))


def test_a_frame_without_attrs_cannot_be_locked(tmp_path: Path) -> None:
    write(tmp_path, 20)
    bars = load("BINANCE:BTCUSDT", folder=tmp_path)
    bars.attrs.clear()

    arrays = load("BINANCE:BTCUSDT", as_="numpy", folder=tmp_path)
    for loaded in (bars, arrays):
        with pytest.raises(InvalidRequest, match="its attrs are gone"):
            write_lock(tmp_path / "study.lock", loaded)
    assert not (tmp_path / "study.lock").exists()


def test_the_command_verifies_a_lock_and_exits_with_1_when_something_changed(
    own_outputs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("LOAD:A", "LOAD:B"):
        write(own_outputs, 20, symbol=name)
    lock = tmp_path / "study.lock"
    write_lock(lock, load_panel(["LOAD:A", "LOAD:B"], folder=own_outputs))

    call_command("datasets", "verify", lock=lock)
    assert capsys.readouterr().out == "2 locked, 0 changed.\n"

    (own_outputs / "datasets/tradingview/LOAD_B_1h_20.parquet").unlink()
    with pytest.raises(SystemExit) as ended:
        call_command("datasets", "verify", "--json", lock=lock)
    assert ended.value.code == 1
    assert json.loads(capsys.readouterr().out) == {
        "lock": str(lock),
        "n_locked": 2,
        "changes": ["LOAD:B 1h 20 (tradingview) is not there."],
    }


def test_the_command_refuses_a_missing_lock_file_and_a_second_choice(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is not there"):
        call_command("datasets", "verify", lock=tmp_path / "no.lock")
    with pytest.raises(CommandError, match="name no others"):
        call_command("datasets", "verify", "LOAD:A", lock=tmp_path / "no.lock")


def test_a_missing_folder_is_one_error_and_not_one_for_each_dataset(tmp_path: Path) -> None:
    write(tmp_path, 20)
    lock = tmp_path / "study.lock"
    write_lock(lock, load("BINANCE:BTCUSDT", folder=tmp_path))

    with pytest.raises(FolderUnavailable, match="no dataset at all"):
        verify_lock(lock, folder=tmp_path / "another machine's")


def test_a_locked_panel_compares_the_bars_and_not_only_the_files_metadata(
    tmp_path: Path,
) -> None:
    write(tmp_path, 20)
    lock = tmp_path / "study.lock"
    write_lock(lock, load("BINANCE:BTCUSDT", folder=tmp_path))
    path = tmp_path / "datasets/tradingview/BINANCE_BTCUSDT_1h_20.parquet"
    changed = bars_table(20, start=START + 60).replace_schema_metadata(
        pq.read_schema(path).metadata
    )
    pq.write_table(changed, path)

    with pytest.raises(FileCorrupt, match="does not hold the bars that were written"):
        load_panel(["BINANCE:BTCUSDT"], lock=lock, folder=tmp_path)


def test_one_dataset_with_two_contents_cannot_be_locked(tmp_path: Path) -> None:
    write(tmp_path, 20)
    before = load("BINANCE:BTCUSDT", folder=tmp_path)
    write(tmp_path, table=bars_table(20, start=START + 3600), n_bars=20)
    after = load("BINANCE:BTCUSDT", folder=tmp_path)

    with pytest.raises(InvalidRequest, match="loaded with two contents: .* has changed: first bar"):
        write_lock(tmp_path / "study.lock", before, after)
    # Of all loads of a process the latest counts: the user may have fetched the dataset again.
    assert write_lock(tmp_path / "study.lock") == 1
    assert verify_lock(tmp_path / "study.lock", folder=tmp_path) == []


def test_a_process_that_loads_many_panels_holds_few_of_them() -> None:
    class Members:
        def __init__(self, number: int) -> None:
            self.entries = [
                {
                    "source": "sample", "exchange": "X", "symbol": symbol, "timeframe": "1h", "n_bars": 10,
                    "session": "regular", "adjustment": "splits", "content_hash": f"{number}",
                }
                for symbol in "ABC"
            ]  # fmt: skip

    for number in range(1000):
        lock_files.note_many(f"panel {number}", Members(number))

    noted = list(lock_files.noted_entries())
    assert len(lock_files._noted) + len(lock_files._older) < 100
    # Every dataset that was loaded is noted, and the latest comes last.
    assert {entry["symbol"] for entry in noted} == set("ABC")
    assert noted[-1]["content_hash"] == "999"
