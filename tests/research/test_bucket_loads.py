"""The loader with `folder="s3://…"`: the same bars as from a folder, through copies on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import pytest
from pandas.testing import assert_frame_equal

from datasets.errors import (
    DatasetNotFound,
    FolderUnavailable,
    InvalidRequest,
    LockMismatch,
    StoreUnavailable,
)
from datasets.research import adjustments, catalog, load, load_panel, verify_lock, write_lock
from datasets.storage import relative_path
from datasets.storage.buckets import Bucket, BucketAddress
from datasets.storage.paths import superseded_mark
from tests.support.archives import AAPL, Archive, changed, plain_bars, scaled, without
from tests.support.buckets import BucketServer, FaultProxy
from tests.support.study_files import write

HOURS = range(0, 60)
NOW = datetime(2026, 1, 9, tzinfo=UTC)
OPEN = without(AAPL, session_hours="24x7", timezone="Etc/UTC")
Upload = Callable[[], None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An outputs folder with three datasets and an archive with two generations."""
    outputs = tmp_path / "outputs"
    for symbol, n_rows in (("NASDAQ:AAPL", 60), ("NASDAQ:AAPL", 20), ("NSE:M&M", 30)):
        write(outputs, n_rows, symbol=symbol, table=plain_bars(HOURS).slice(60 - n_rows), fetched_at=NOW, instrument=OPEN)  # fmt: skip
    archive = Archive(outputs / "archive", source="tradingview")
    archive.merge(plain_bars(range(-40, 60)), instrument=OPEN)
    archive.merge(scaled(plain_bars(range(20, 62)), 0.25), instrument=OPEN)
    archive.merge(scaled(plain_bars(range(20, 64)), 0.25), instrument=OPEN)
    return outputs


@pytest.fixture
def upload(
    folder: Path, bucket_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Upload:
    """Put all files of the folder into the bucket, and return a function that does it again."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("OUTPUTS_URL", raising=False)
    bucket = Bucket(BucketAddress.parse(bucket_address))

    def put_all() -> None:
        for path in folder.rglob("*"):
            if path.is_file() and path.name != ".lock" and "state" not in path.parts:
                bucket.put(path.relative_to(folder).as_posix(), path.read_bytes())

    put_all()
    return put_all


@pytest.mark.usefixtures("upload")
def test_a_bucket_gives_the_bars_of_the_folder(
    folder: Path, bucket_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    known_at = datetime(2025, 6, 2, 1, tzinfo=UTC)
    reads: list[Callable[[Any], pd.DataFrame]] = [
        lambda place: load("NASDAQ:AAPL", folder=place),
        lambda place: load("NASDAQ:AAPL", n_bars=15, folder=place),
        lambda place: load("NSE:M&M", "1h", n_bars=30, folder=place),
        lambda place: load("NASDAQ:AAPL", start="2024-12-29", folder=place),
        lambda place: load("NASDAQ:AAPL", as_of=known_at, folder=place),
        lambda place: load_panel(["NASDAQ:AAPL", "NSE:M&M"], n_bars=20, folder=place),
        lambda place: adjustments("NASDAQ:AAPL", folder=place),
        lambda place: catalog(folder=place),
    ]
    for read in reads:
        assert_frame_equal(read(bucket_address), read(folder))
    assert not list(folder.rglob(".etag"))
    monkeypatch.setenv("OUTPUTS_URL", bucket_address)
    monkeypatch.setenv("STATE_DIR", str(tmp_path / "state"))
    assert_frame_equal(load("NASDAQ:AAPL"), load("NASDAQ:AAPL", folder=folder))
    panel = load_panel(["NASDAQ:AAPL", "NSE:M&M"], n_bars=20)
    assert_frame_equal(panel, load_panel(["NASDAQ:AAPL", "NSE:M&M"], n_bars=20, folder=folder))


def test_a_change_is_noticed_after_the_seconds_of_the_setting(
    folder: Path, bucket_address: str, upload: Upload, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load("NASDAQ:AAPL", folder=bucket_address)
    panel = load_panel(["NASDAQ:AAPL"], folder=bucket_address)
    newer = changed(plain_bars(HOURS), 10, close=77.0, low=70.0)
    write(folder, 60, symbol="NASDAQ:AAPL", table=newer, fetched_at=NOW + timedelta(days=1), instrument=OPEN)  # fmt: skip
    upload()

    assert_frame_equal(load("NASDAQ:AAPL", folder=bucket_address), before)
    assert_frame_equal(load_panel(["NASDAQ:AAPL"], folder=bucket_address), panel)
    monkeypatch.setenv("STORE_CHECK_S", "0")

    assert load("NASDAQ:AAPL", folder=bucket_address)["close"].iloc[10] == 77.0
    assert load_panel(["NASDAQ:AAPL"], folder=bucket_address).iloc[10, 0] == 77.0


@pytest.mark.usefixtures("upload")
def test_a_lock_file_brings_the_bars_back(
    folder: Path, bucket_address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE_CHECK_S", "0")
    frame = load("NASDAQ:AAPL", n_bars=60, folder=bucket_address)
    write_lock(tmp_path / "study.lock", frame)

    assert verify_lock(tmp_path / "study.lock", folder=bucket_address) == []
    again = load("NASDAQ:AAPL", n_bars=60, folder=bucket_address, lock=tmp_path / "study.lock")
    assert_frame_equal(again, frame)

    key = write(folder, 60, symbol="NASDAQ:AAPL", table=changed(plain_bars(HOURS), 10, close=77.0, low=70.0), instrument=OPEN)  # fmt: skip
    content = (folder / "datasets" / relative_path(key)).read_bytes()
    Bucket(BucketAddress.parse(bucket_address)).put(f"datasets/{relative_path(key)}", content)
    assert len(verify_lock(tmp_path / "study.lock", folder=bucket_address)) == 1
    with pytest.raises(LockMismatch):
        load("NASDAQ:AAPL", n_bars=60, folder=bucket_address, lock=tmp_path / "study.lock")


@pytest.mark.usefixtures("upload")
def test_superseded_and_deleted_datasets_do_not_answer(
    folder: Path, bucket_address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE_CHECK_S", "0")
    bucket = Bucket(BucketAddress.parse(bucket_address)).below("datasets/tradingview")
    name = "NASDAQ_AAPL_1h_60.parquet"
    assert len(load("NASDAQ:AAPL", folder=bucket_address)) == 60
    mark = {"name": name, "version": bucket.status(name).version}
    bucket.put(superseded_mark(name), json.dumps(mark).encode())

    assert len(load("NASDAQ:AAPL", folder=bucket_address)) == 20
    states = catalog(folder=bucket_address).set_index("path")["state"]
    assert states[f"tradingview/{name}"] == "superseded"
    bucket.delete(superseded_mark(name))
    assert len(load("NASDAQ:AAPL", folder=bucket_address)) == 60
    bucket.delete(name)

    assert len(load("NASDAQ:AAPL", folder=bucket_address)) == 20
    with pytest.raises(DatasetNotFound, match="Close: NSE:M&M"):
        load("NSE:M&M", n_bars=99, folder=bucket_address)


@pytest.mark.usefixtures("upload")
def test_a_bucket_that_is_away_is_named_and_cached_reads_go_on(
    bucket_address: str, bucket_server: BucketServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = FaultProxy(urlsplit(bucket_server.endpoint).port or 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
    frame = load("NASDAQ:AAPL", folder=bucket_address)
    proxy.arm("cut")

    assert_frame_equal(load("NASDAQ:AAPL", folder=bucket_address), frame)
    with pytest.raises(StoreUnavailable, match="bucket"):
        load("NSE:M&M", folder=bucket_address)
    proxy.stop()


def test_an_empty_bucket_and_a_wrong_address_are_named(
    bucket_address: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for read in (lambda: load("NASDAQ:AAPL", folder=bucket_address), lambda: catalog(folder=bucket_address)):  # fmt: skip
        with pytest.raises(FolderUnavailable, match="no dataset at all in s3://"):
            read()
    with pytest.raises(InvalidRequest, match="s3://bucket/prefix"):
        load("NASDAQ:AAPL", folder="s3://B/../x")


@pytest.mark.usefixtures("upload")
def test_workers_of_a_sweep_load_from_the_bucket(bucket_address: str) -> None:
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(_last_close, [bucket_address] * 4))

    assert found == [load("NASDAQ:AAPL", folder=bucket_address)["close"].iloc[-1]] * 4


def _last_close(place: str) -> float:
    return float(load("NASDAQ:AAPL", folder=place)["close"].iloc[-1])
