"""Lock files whose bars the archive brings back after the datasets have changed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from django.core.management import call_command

from datasets.archive import decisions
from datasets.errors import LockMismatch
from datasets.research import load, load_panel, verify_lock, write_lock
from tests.support.archives import AAPL, changed, plain_bars, scaled, without
from tests.support.arrivals import Arrivals

ALWAYS_OPEN = without(AAPL, session_hours="24x7", timezone="Etc/UTC")
COLUMNS = ["close", "volume", "close_time"]


@pytest.fixture
def arrivals(transactional_db: None, own_outputs: Path) -> Arrivals:
    found = Arrivals()
    found.arrive(plain_bars(range(0, 60)), n_bars=50, instrument=ALWAYS_OPEN, last_bar_final=False)
    return found


@pytest.fixture
def here(arrivals: Arrivals, own_outputs: Path) -> dict[str, Any]:
    return {"symbol": "NASDAQ:AAPL", "source": "sample", "folder": own_outputs}


@pytest.fixture
def study(here: dict[str, Any], tmp_path: Path) -> tuple[Path, pd.DataFrame]:
    """A lock file, and the frame that it was written of."""
    bars = load(**here, columns=COLUMNS)
    write_lock(tmp_path / "study.lock", bars)
    return tmp_path / "study.lock", bars


def refreshed(arrivals: Arrivals, **reply: Any) -> None:
    """Three later fetches: revised volumes, a split, and its confirmation."""
    later: dict[str, Any] = {"n_bars": 50, "instrument": ALWAYS_OPEN} | reply
    arrivals.arrive(changed(plain_bars(range(20, 80)), 3, volume=7.0), **later)
    split = scaled(changed(plain_bars(range(30, 90)), 3, volume=9.0), 0.25, volume_factor=4)
    arrivals.arrive(split, **later)
    arrivals.arrive(split, **later)


def same(again: pd.DataFrame, bars: pd.DataFrame) -> bool:
    pd.testing.assert_frame_equal(again, bars)
    of_archives = {"path", "holes", "rescaled"}
    facts = [
        {name: value for name, value in frame.attrs.items() if name not in of_archives}
        for frame in (again, bars)
    ]
    assert facts[0] == facts[1]
    return True


def test_a_lock_brings_back_the_very_bars(
    here: dict[str, Any], study: tuple[Path, pd.DataFrame], arrivals: Arrivals
) -> None:
    lock, bars = study
    refreshed(arrivals)
    assert not load(**here, columns=COLUMNS).equals(bars)

    again = load(**here, columns=COLUMNS, lock=lock)

    assert same(again, bars)
    # The bar that was forming when the study was locked stays out.
    assert len(again) == 49
    assert again.attrs["path"] == "sample/NASDAQ_AAPL_1h"
    assert verify_lock(lock, folder=here["folder"]) == []
    part = load(**here, columns=COLUMNS, lock=lock, start=bars.index[5], end=bars.index[9])
    assert part.equals(bars.iloc[5:9])
    assert load(**here, n_bars=10, lock=lock).index[0] == bars.index[-9]
    # A lock of what was brought back is the same lock.
    write_lock(lock.with_name("second.lock"), again)
    assert lock.with_name("second.lock").read_text() == lock.read_text()


@pytest.mark.parametrize("how", ["deleted", "damaged"])
def test_a_lock_brings_back_a_dataset_whose_file_is_lost(
    here: dict[str, Any], study: tuple[Path, pd.DataFrame], how: str
) -> None:
    lock, bars = study
    (file,) = (here["folder"] / "datasets" / "sample").glob("*.parquet")
    file.unlink() if how == "deleted" else file.write_bytes(b"no parquet")

    assert same(load(**here, columns=COLUMNS, lock=lock), bars)
    assert verify_lock(lock, folder=here["folder"]) == []


def test_a_service_brings_back_the_very_bars(
    here: dict[str, Any],
    study: tuple[Path, pd.DataFrame],
    arrivals: Arrivals,
    live_server: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lock, bars = study
    monkeypatch.setenv("XDG_CACHE_HOME", str(here["folder"] / "cache"))
    there = {"symbol": "NASDAQ:AAPL", "source": "sample", "url": live_server.url}
    assert same(load(**there, columns=COLUMNS, lock=lock), bars)
    refreshed(arrivals)

    assert same(load(**there, columns=COLUMNS, lock=lock), bars)
    assert verify_lock(lock, url=live_server.url) == []


def test_bars_of_the_archive_are_locked_too(
    here: dict[str, Any], arrivals: Arrivals, tmp_path: Path
) -> None:
    refreshed(arrivals)
    lock = tmp_path / "study.lock"
    start = load(**here, as_of=arrivals.now).index[5]
    asked: dict[str, Any] = {
        "start": start,
        "end": start + pd.Timedelta(hours=30),
        "columns": COLUMNS,
    }
    bars = load(**here, **asked)
    assert bars.attrs["path"] == "sample/NASDAQ_AAPL_1h"
    write_lock(lock, bars)
    arrivals.arrive(
        changed(scaled(plain_bars(range(0, 95)), 0.25), 10, volume=1.0), instrument=ALWAYS_OPEN
    )

    assert not load(**here, **asked).equals(bars)
    again = load(**here, **asked, lock=lock)
    pd.testing.assert_frame_equal(again, bars)
    assert again.attrs["edge"] == bars.attrs["edge"]
    assert verify_lock(lock, folder=here["folder"]) == []


def test_a_decision_of_a_person_after_the_fetch_is_part_of_the_locked_state(
    here: dict[str, Any], arrivals: Arrivals, tmp_path: Path
) -> None:
    disputed = changed(plain_bars(range(10, 70)), 30, close=7.7, low=7.0)
    arrivals.arrive(disputed, n_bars=50, instrument=ALWAYS_OPEN)
    decisions.accept_new(arrivals.revision("unexplained"), by="ada")
    bars = load(**here, columns=COLUMNS)
    assert 7.7 in bars["close"].to_list()
    write_lock(tmp_path / "study.lock", bars)
    decided_at = arrivals.revision("unexplained").decided_at
    assert decided_at is not None
    arrivals.now = max(arrivals.now, decided_at)
    refreshed(arrivals)

    assert same(load(**here, columns=COLUMNS, lock=tmp_path / "study.lock"), bars)


def test_the_difference_is_named_where_the_archive_had_other_bars(
    here: dict[str, Any], study: tuple[Path, pd.DataFrame], arrivals: Arrivals
) -> None:
    lock, _ = study
    document = json.loads(lock.read_text())
    document["datasets"][0]["content_hash"] = "0" * 64
    lock.write_text(json.dumps(document))

    with pytest.raises(LockMismatch) as refused:
        load(**here, lock=lock)

    message = str(refused.value)
    assert "the same range of bars, other values in it; content 000000000000 →" in message
    assert "The archive cannot bring the locked bars back: as of 2025-06-02" in message
    assert verify_lock(lock, folder=here["folder"]) == [message]
    with pytest.raises(SystemExit):
        call_command("datasets", "verify", lock=lock)


def test_a_lock_from_before_the_archive_says_when_the_archive_begins(
    here: dict[str, Any], study: tuple[Path, pd.DataFrame], arrivals: Arrivals
) -> None:
    lock, _ = study
    document = json.loads(lock.read_text())
    entry = document["datasets"][0]
    entry |= {"content_hash": "0" * 64, "fetched_at": "2020-01-01T00:00:00+00:00"}
    lock.write_text(json.dumps(document))

    with pytest.raises(LockMismatch, match=r"its archive begins at 2025-06-02"):
        load(**here, lock=lock)


@pytest.mark.parametrize("index", ["time", "close_time"])
def test_a_lock_brings_back_a_panel(
    arrivals: Arrivals, own_outputs: Path, tmp_path: Path, index: str
) -> None:
    others = Arrivals(symbol="MSFT")
    others.arrive(plain_bars(range(5, 40)), n_bars=50, instrument=ALWAYS_OPEN)
    asked: dict[str, Any] = {
        "symbols": ["NASDAQ:AAPL", "NASDAQ:MSFT"], "source": "sample", "folder": own_outputs, "index": index,
    }  # fmt: skip
    panel = load_panel(**asked)
    lock = tmp_path / "study.lock"
    write_lock(lock, panel)
    refreshed(arrivals)
    assert not load_panel(**asked).equals(panel)

    again = load_panel(**asked, lock=lock)

    pd.testing.assert_frame_equal(again, panel)
    write_lock(tmp_path / "second.lock", again)
    assert (tmp_path / "second.lock").read_text() == lock.read_text()
    latest = load_panel(**asked, lock=lock, n_bars=10)
    assert latest["NASDAQ:MSFT"].dropna().equals(panel["NASDAQ:MSFT"].dropna().iloc[-10:])
