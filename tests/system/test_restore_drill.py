"""The restore drill of docs/operating.md: back up a service, lose its folder, restore it, compare every bar."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support.stacks import ROOT, Feed, Stack, wait_until

SERIES = [("BINANCE:BTCUSDT", "1h"), ("BINANCE:ETHUSDT", "1D"), ("NASDAQ:AAPL", "1D")]


@pytest.fixture
def stack(clean_feed: Feed, tmp_path: Path) -> Iterator[Stack]:
    running = Stack(tmp_path, clean_feed)
    yield running
    running.stop()


def commands_of_the_drill() -> list[list[str]]:
    """Return the `manage.py` commands that the page names for the drill, in order."""
    page = (ROOT / "docs/operating.md").read_text()
    drill = page.split("## Backup and restore drill\n")[1].split("\n## ")[0]
    return [line.split() for line in re.findall(r"^python manage\.py (.+)$", drill, re.M)]


def replies_of(stack: Stack) -> list[Any]:
    """Return what clients read: the bars of each dataset and of each archive, and the list of fetches."""
    found: list[Any] = []
    for symbol, timeframe in SERIES:
        # A fetch would hide a loss.
        body = stack.get(
            "ohlc", symbol=symbol, timeframe=timeframe, n_bars=500, wait=0, use_cache="true"
        ).json()
        found.append((body["dataset"], body["content_hash"], body["ohlc"]))
    for row in stack.get("series").json()["results"]:
        bars = requests.get(f"{stack.url}/api/tv/series/{row['id']}/bars", timeout=60).json()
        found.append((row["id"], bars["ohlc"]))
    found.append([each["id"] for each in stack.get("fetches").json()["results"]])
    return found


@pytest.mark.slow
def test_the_restore_drill_brings_every_bar_back(stack: Stack, tmp_path: Path) -> None:
    backup, restore, verify = commands_of_the_drill()
    folder = str(tmp_path / "backup")
    stack.start_web()
    worker = stack.start_worker()
    for symbol, timeframe in SERIES:
        reply = stack.get("ohlc", symbol=symbol, timeframe=timeframe, n_bars=500, wait=60)
        assert reply.status_code == 200, reply.text
    worker.kill()
    before = replies_of(stack)
    stack.manage(*[folder if each == "BACKUP" else each for each in backup])
    stack.stop()
    # The disk is lost.
    shutil.rmtree(tmp_path / "outputs")

    done = stack.manage(*[folder if each == "BACKUP" else each for each in restore])
    found = json.loads(stack.manage(*verify).stdout)
    stack.start_web()

    assert done.stderr == ""
    assert found["counts"] == {"ok": len(SERIES)}
    assert replies_of(stack) == before
    stack.start_worker()
    # And work goes on.
    wait_until(
        lambda: stack.get("ohlc", symbol="LOAD:S1", n_bars=50, wait=30).status_code == 200,
        seconds=90,
        what="a fetch after the restore",
    )
