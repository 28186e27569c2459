"""The store: names of files, atomic writes, and the metadata of a file."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import string
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from datasets.bars import Adjustment, DatasetKey, Session, Timeframe
from datasets.errors import FileCorrupt, FileMissing, StoreFailed
from datasets.storage import MARKER, FolderStore, key_of, relative_path
from tests.support.factories import a_key, bars_table, fetched_bars
from tests.support.stacks import wait_until

printable = "".join(char for char in string.printable if "!" <= char <= "~")
keys = st.builds(
    DatasetKey,
    source=st.sampled_from(["tradingview", "sample"]),
    exchange=st.text(string.ascii_uppercase + string.digits + "_", max_size=8),
    symbol=st.text(printable, min_size=1, max_size=12).map(str.upper),
    timeframe=st.sampled_from(Timeframe),
    n_bars=st.integers(1, 40_000),
    session=st.sampled_from(Session),
    adjustment=st.sampled_from(Adjustment),
).filter(lambda key: key.exchange or ":" in key.symbol)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "datasets")


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({}, "sample/BINANCE_BTCUSDT_1h_300.parquet"),
        ({"source": "tradingview", "n_bars": 5000}, "tradingview/BINANCE_BTCUSDT_1h_5000.parquet"),
        ({"session": "extended"}, "sample/BINANCE_BTCUSDT_1h_300_extended.parquet"),
        ({"adjustment": "dividends"}, "sample/BINANCE_BTCUSDT_1h_300_dividends.parquet"),
        ({"symbol": "BTCUSDT/ETHUSDT"}, "sample/BINANCE_BTCUSDT%2FETHUSDT_1h_300.parquet"),
        ({"exchange": "NSE", "symbol": "M&M"}, "sample/NSE_M%26M_1h_300.parquet"),
        ({"exchange": "NSE", "symbol": "M_M"}, "sample/NSE_M%5FM_1h_300.parquet"),
        ({"exchange": "NYSE", "symbol": "BRK.B"}, "sample/NYSE_BRK.B_1h_300.parquet"),
        ({"symbol": "../../ETC"}, "sample/BINANCE_%2E%2E%2F%2E%2E%2FETC_1h_300.parquet"),
        ({"exchange": "CME_MINI", "symbol": "ES1!"}, "sample/CME_MINI_ES1!_1h_300.parquet"),
    ],
)
def test_a_key_has_the_contracts_path(changes: dict[str, Any], path: str) -> None:
    assert relative_path(a_key(**changes)) == path


@given(keys, keys)
def test_two_keys_never_share_a_path_even_where_case_is_folded(
    one: DatasetKey, other: DatasetKey
) -> None:
    assume(one != other)

    assert relative_path(one).casefold() != relative_path(other).casefold()


@given(keys)
def test_a_path_leads_back_to_its_key(key: DatasetKey) -> None:
    assert key_of(relative_path(key)) == key


@given(keys)
def test_no_key_leaves_the_folder(key: DatasetKey) -> None:
    path = Path(os.path.normpath(Path("/outputs") / relative_path(key)))

    assert path.parent == Path("/outputs") / key.source
    assert set(path.name) <= set(string.ascii_letters + string.digits + "_.-!%")


@pytest.mark.parametrize(
    "path",
    ["sample/X.parquet", "sample/BINANCE_BTCUSDT_1h_0300.parquet", "sample/A_B_9h_1.parquet", "x"],
)
def test_any_other_path_is_no_dataset(path: str) -> None:
    with pytest.raises(ValueError):
        key_of(path)


def test_a_name_too_long_for_a_file_system_has_a_hash_of_the_symbol() -> None:
    path = relative_path(a_key(symbol="/" * 100))

    assert re.fullmatch(r"sample/BINANCE_(%2F){33}~[0-9a-f]{64}_1h_300\.parquet", path)


def test_a_written_file_is_read_back_with_all_its_metadata(store: FolderStore) -> None:
    table = bars_table(300)
    key = a_key()

    stored = store.write(key, fetched_bars(table, is_limited=True, n_duplicates=2))

    path = relative_path(key)
    assert store.read(path) == (table, stored)
    assert stored.facts.key == key
    assert (stored.facts.n_rows, stored.facts.is_limited, stored.facts.n_duplicates) == (
        300,
        True,
        2,
    )
    assert store.version(path) == stored.version


def test_another_parquet_reader_gets_the_contracts_columns(store: FolderStore) -> None:
    key = a_key()
    store.write(key, fetched_bars(bars_table(3)))

    schema = pq.read_schema(store.path(key))

    assert [(field.name, str(field.type)) for field in schema] == [
        ("time", "timestamp[ms, tz=UTC]"),
        *((name, "double") for name in ("open", "high", "low", "close", "volume")),
    ]


def test_no_temporary_file_stays(store: FolderStore) -> None:
    store.write(a_key(), fetched_bars(bars_table(3)))

    assert sorted(path.name for path in (store.folder / "sample").iterdir()) == [
        MARKER,
        "BINANCE_BTCUSDT_1h_300.parquet",
    ]


@pytest.mark.parametrize("change", ["write", "delete", "quarantine"])
def test_one_process_at_a_time_changes_a_file(store: FolderStore, change: str) -> None:
    key, path = a_key(), relative_path(a_key())
    facts = store.write(key, fetched_bars(bars_table(3))).facts
    changes: dict[str, Callable[[], object]] = {
        "write": lambda: store.write(key, fetched_bars(bars_table(5))),
        "delete": lambda: store.delete(path, fetched_at=facts.fetched_at),
        "quarantine": lambda: store.quarantine(path),
    }
    if change == "quarantine":
        (store.folder / path).write_bytes(b"nothing")
    before = store.version(path)
    changing = threading.Thread(target=changes[change])

    with (store.folder / ".lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        changing.start()
        wait_until(lambda: _waits_for_the_lock(changing), what="the change")
        assert store.version(path) == before
    changing.join(timeout=10)

    assert not (store.folder / path).exists() or store.version(path) != before


def _waits_for_the_lock(thread: threading.Thread) -> bool:
    frame = sys._current_frames().get(thread.ident or 0)
    return frame is not None and frame.f_code is FolderStore._locked.__wrapped__.__code__  # type: ignore[attr-defined]


@pytest.mark.parametrize("step", ["fsync", "rename"])
def test_a_failing_disk_leaves_the_old_dataset(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    key = a_key()
    store.write(key, fetched_bars(bars_table(3)))

    def fail(*arguments: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync" if step == "fsync" else "pathlib.Path.replace", fail)
        with pytest.raises(StoreFailed, match="No space left"):
            store.write(key, fetched_bars(bars_table(5)))

    assert store.read(relative_path(key))[0].num_rows == 3
    assert {path.name for path in (store.folder / "sample").iterdir()} == {
        MARKER,
        store.path(key).name,
    }


def test_a_missing_file_is_a_named_error(store: FolderStore) -> None:
    store.accept("sample")
    for read in (store.read, store.version):
        with pytest.raises(FileMissing):
            read("sample/BINANCE_BTCUSDT_1h_300.parquet")


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _foreign(path: Path) -> None:
    pq.write_table(pa.table({"a": [1]}), path)


def _flip_a_bit_of_the_data(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 0x10
    path.write_bytes(content)


def _put_another_keys_file_there(path: Path) -> None:
    store = FolderStore(path.parents[1])
    other = a_key(symbol="ETHUSDT")
    store.write(other, fetched_bars(bars_table(3)))
    store.path(other).rename(path)


def _drop_the_metadata(path: Path) -> None:
    pq.write_table(pq.read_table(path).replace_schema_metadata(None), path)


def _change_a_price(path: Path) -> None:
    table = pq.read_table(path)
    changed = table.set_column(4, table.schema.field("close"), pa.array([1.0] * table.num_rows))
    pq.write_table(changed.replace_schema_metadata(table.schema.metadata), path)


@pytest.mark.parametrize(
    "harm",
    [
        _truncate,
        _empty,
        _foreign,
        _flip_a_bit_of_the_data,
        _put_another_keys_file_there,
        _drop_the_metadata,
        _change_a_price,
    ],
)
def test_a_file_that_is_no_whole_dataset_is_a_named_error(store: FolderStore, harm: Any) -> None:
    key = a_key()
    store.write(key, fetched_bars(bars_table(300)))

    harm(store.path(key))

    with pytest.raises(FileCorrupt):
        store.read(relative_path(key))


def test_a_new_folder_survives_a_power_cut_together_with_its_file(
    store: FolderStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", note)
    store.write(a_key(), fetched_bars(bars_table(3)))

    above = store.folder.parent
    file = synced.pop(2)
    assert file.suffix == ".tmp"
    assert synced == [above, store.folder, store.folder / "sample"]
