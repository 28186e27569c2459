"""Fetches in real processes: web servers, workers, the filesystem broker, the feed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support.recordings import csv_rows, recording
from tests.support.stacks import ROOT, Feed, Stack, wait_until

MakeStack = Callable[..., Stack]
# Hash of the 8,000 bars; it is the same in every time zone.
RECORDED_HASH = "798f61bc1702e640ec5dd13ef61fc642f7436795628400e045cc8cc8ee7637a9"


@pytest.fixture
def make_stack(tmp_path: Path) -> Iterator[MakeStack]:
    """Return a function that makes a stack in its own folder; all stacks are stopped at the end."""
    stacks: list[Stack] = []

    def make(feed: Feed, **settings: str) -> Stack:
        folder = tmp_path / f"stack{len(stacks)}"
        folder.mkdir()
        stacks.append(Stack(folder, feed, **settings))
        return stacks[-1]

    yield make
    for stack in stacks:
        stack.stop()


@pytest.fixture
def replaying_feed(tmp_path: Path) -> Iterator[Feed]:
    """A feed that serves the recording of 8,000 daily bars."""
    path = recording("krazykoder_socket.timeseries_aapl_1d_8000.txt")
    running = Feed(tmp_path, "--replay", str(path))
    yield running
    running.stop()


def rows_of(path: Path) -> list[list[float | None]]:
    names = ("open", "high", "low", "close", "volume")
    return [
        [row["time"].timestamp(), *(row[name] for name in names)]
        for row in pq.read_table(path).to_pylist()
    ]


def test_a_worker_writes_the_table_of_the_catalog(feed: Feed, make_stack: MakeStack) -> None:
    stack = make_stack(feed)
    path = stack.datasets_folder.parent / "catalog.parquet"

    stack.start_worker()

    wait_until(path.exists, what="the table of the catalog")
    assert pq.read_table(path).num_rows == 0


@pytest.mark.slow
def test_two_hundred_requests_for_one_key_share_one_fetch_and_get_equal_replies(
    clean_feed: Feed, make_stack: MakeStack
) -> None:
    # A quarter of the threads may wait for fetches: one of the two processes has room for all.
    stack = make_stack(clean_feed, WEB_THREADS="800")
    stack.start_worker(concurrency=2)
    stack.start_web(workers=2)

    def ask(_: int) -> Any:
        return stack.get("ohlc", symbol="BINANCE:BTCUSDT", n_bars=5000, wait=60)

    with ThreadPoolExecutor(200) as pool:
        replies = list(pool.map(ask, range(200)))

    assert {reply.status_code for reply in replies} == {200}, replies[0].text[:300]
    bodies = [reply.json() for reply in replies]
    assert all(body["ohlc"] == bodies[0]["ohlc"] for body in bodies)
    assert {body["content_hash"] for body in bodies} == {bodies[0]["content_hash"]}
    assert len(bodies[0]["ohlc"]) == 5000
    assert len(stack.get("fetches").json()["results"]) == 1
    assert clean_feed.stats()["conversations"] == 1


@pytest.mark.parametrize("zone", ["UTC", "America/New_York"])
def test_the_recorded_8000_bars_arrive_in_the_file_bit_for_bit_in_every_time_zone(
    replaying_feed: Feed, make_stack: MakeStack, zone: str
) -> None:
    stack = make_stack(replaying_feed, TZ=zone)
    stack.start_worker()
    stack.start_web()

    body = stack.get("ohlc", symbol="NASDAQ:AAPL", timeframe="1D", n_bars=8000).json()

    path = stack.datasets_folder / "sample" / "NASDAQ_AAPL_1D_8000.parquet"
    assert rows_of(path) == csv_rows("tv_aapl_1d_8000_splitadjusted.csv")
    assert body["count"] == 8000
    assert body["content_hash"] == RECORDED_HASH


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_of_a_fetch_loses_no_request(
    clean_feed: Feed, make_stack: MakeStack
) -> None:
    stack = make_stack(clean_feed)
    clean_feed.arm("stall_half_way", times=1)
    worker = stack.start_worker()
    stack.start_web()
    address = (
        stack.get("ohlc", symbol="BINANCE:ETHUSDT", n_bars=300, wait=0)
        .headers["Location"]
        .removeprefix("/api/tv/")
    )
    wait_until(lambda: clean_feed.stats()["conversations"] == 1, what="the first conversation")

    worker.kill()
    stack.start_worker()

    # The lease of the dead worker must end first.
    fetch = wait_until(
        lambda: (row := stack.get(address).json())["state"] == "succeeded" and row,
        seconds=60,
        what="the fetch",
    )
    assert fetch["attempts"] == 2
    assert stack.get("ohlc", symbol="BINANCE:ETHUSDT", n_bars=300).json()["cached"] is True


@pytest.mark.slow
def test_the_fetch_command_continues_after_ctrl_c(clean_feed: Feed, make_stack: MakeStack) -> None:
    stack = make_stack(clean_feed, TV_RATE_PER_MINUTE="120", TV_BURST="2")
    stack.start_worker()
    symbols = [f"LOAD:S{number}" for number in range(6)]
    arguments = ["fetch", *symbols, "-n", "50", "--json"]
    command = subprocess.Popen(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT, env=stack.env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip

    wait_until(lambda: clean_feed.stats()["conversations"] >= 2, what="the second fetch")
    command.send_signal(signal.SIGINT)
    said, complaint = command.communicate(timeout=30)
    again = stack.manage(*arguments)

    outcomes = {job["outcome"] for job in json.loads(said)}
    assert command.returncode == 130, complaint
    assert "Run the same command again" in complaint
    assert outcomes <= {"succeeded", "running", "cancelled"}
    assert "cancelled" in outcomes
    assert {job["outcome"] for job in json.loads(again.stdout)} == {"cached", "succeeded"}
    assert clean_feed.stats()["conversations"] == len(symbols)
