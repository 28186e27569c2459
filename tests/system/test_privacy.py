"""The state folder is closed to other users of the machine, whatever it was before."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from datasets.checks import check_state_is_private
from tests.support.stacks import Feed, Stack
from tvproject.json_cache import JsonSerializer
from tvproject.privacy import make_private


def modes(folder: Path) -> dict[str, str]:
    """Return the mode of the folder and of each file directly in it."""
    paths = [folder, *(path for path in folder.iterdir() if path.is_file())]
    return {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in paths}


def test_a_running_service_keeps_its_state_to_itself(tmp_path: Path, clean_feed: Feed) -> None:
    state = tmp_path / "outputs/state"
    state.mkdir(parents=True)
    state.chmod(0o755)
    for name in ("secret_key", "catalog.sqlite3", "throttle.sqlite3"):
        (state / name).touch(mode=0o644)
        (state / name).chmod(0o644)
    (state / "secret_key").write_text("k" * 60)
    before = os.umask(0)
    try:
        stack = Stack(tmp_path, clean_feed, TV_RATE_PER_MINUTE="600")
        stack.start_worker()
        stack.start_web()
        assert stack.get("ohlc", symbol="BINANCE:BTCUSDT", n_bars=20).status_code == 200

        found = modes(state)
    finally:
        os.umask(before)
        stack.stop()

    assert found.pop("state") == "0o700"
    assert {"catalog.sqlite3", "catalog.sqlite3-wal", "secret_key", "calls.sqlite3"} <= set(found)
    assert {name: mode for name, mode in found.items() if mode != "0o600"} == {}


def test_a_folder_that_is_private_already_is_not_touched(tmp_path: Path) -> None:
    make_private(tmp_path)
    changed_ns = tmp_path.stat().st_ctime_ns

    make_private(tmp_path)

    assert tmp_path.stat().st_ctime_ns == changed_ns


def test_a_state_folder_that_others_can_read_is_named_by_a_check(
    settings: Any, tmp_path: Path
) -> None:
    settings.STATE_DIR = tmp_path
    tmp_path.chmod(0o700)
    assert check_state_is_private(None) == []

    tmp_path.chmod(0o750)

    (message,) = check_state_is_private(None)
    assert str(tmp_path) in message.msg


@pytest.mark.parametrize("value", [0, 7, "sealed", None, {"matches": [{"symbol": "é"}], "n": 1.5}])
def test_a_value_in_a_shared_cache_comes_back_as_it_was(value: object) -> None:
    written = JsonSerializer().dumps(value)

    assert (
        JsonSerializer().loads(str(written).encode() if isinstance(written, int) else written)
        == value
    )
