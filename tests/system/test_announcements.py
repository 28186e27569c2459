"""A running service tells its source to the commands; what an ended one has left counts for nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.stacks import ROOT, Feed, Stack
from tvproject.announcements import Announcement, running_sources

HOLD = """
import sys, time
from pathlib import Path
from tvproject.announcements import Announcement
with Announcement(Path(sys.argv[1]), 8000) as announcement:
    announcement.publish("sample")
    print("said", flush=True)
    time.sleep(60)
"""


def test_the_source_of_a_running_service_is_found_until_it_ends(tmp_path: Path) -> None:
    with Announcement(tmp_path, 8000) as first, Announcement(tmp_path, 8001) as second:
        first.publish("sample")
        second.publish("sample")
        assert running_sources(tmp_path) == {"sample"}
        first.publish("tradingview")
        assert running_sources(tmp_path) == {"sample", "tradingview"}

    assert running_sources(tmp_path) == set()
    assert list((tmp_path / "services").iterdir()) == []


def test_the_file_of_a_killed_service_counts_for_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "said\n"
        assert running_sources(tmp_path) == {"sample"}

        process.send_signal(signal.SIGKILL)

    assert (tmp_path / "services/8000.json").exists()
    assert running_sources(tmp_path) == set()


@pytest.mark.parametrize("text", ["", "{", "[]", "{}"])
def test_a_file_that_says_nothing_counts_for_nothing(tmp_path: Path, text: str) -> None:
    with Announcement(tmp_path, 8000) as announcement:
        announcement.publish("sample")
        (tmp_path / "services/8000.json").write_text(text)

        assert running_sources(tmp_path) == set()


def test_manage_fetch_takes_the_source_of_the_service_that_runs_on_the_folder(
    tmp_path: Path, clean_feed: Feed
) -> None:
    stack = Stack(tmp_path, clean_feed)
    try:
        stack.start_worker()
        with Announcement(tmp_path / "outputs/state", 8000) as announcement:
            announcement.publish("sample")
            asked = ("fetch", "BINANCE:BTCUSDT", "-n", "20", "--json")
            done = stack.manage(*asked, check=False, TV_SOURCE="")
            (row,) = json.loads(done.stdout)
            assert (row["source"], row["outcome"]) == ("sample", "succeeded")
    finally:
        stack.stop()


def test_manage_watch_searches_the_feed_of_the_service_that_runs_on_the_folder(
    tmp_path: Path, clean_feed: Feed
) -> None:
    stack = Stack(tmp_path, clean_feed)
    addresses = {name: stack.env[name] for name in ("TV_WS_URL", "TV_SITE_URL", "TV_SEARCH_URL")}
    unset = dict.fromkeys(["TV_SOURCE", *addresses], "")
    with Announcement(tmp_path / "outputs/state", 8000) as announcement:
        announcement.publish("sample", addresses)
        wrong = stack.manage("watch", "add", "mine", "NASDAQ:NOSUCH", check=False, **unset)
        right = stack.manage("watch", "add", "mine", "NASDAQ:AAPL", check=True, **unset)
        listed = stack.manage("watch", "list", "mine", "--json", check=True, **unset)

    assert wrong.returncode == 1
    assert "NASDAQ:NOSUCH is not in TradingView's symbol search" in wrong.stderr
    assert "Not checked" not in right.stderr + right.stdout
    assert "AAPL" in listed.stdout


@pytest.mark.parametrize(("given", "found"), [("tradingview", "tradingview"), ("auto", "sample")])
def test_a_source_that_is_named_wins_over_the_running_services(
    tmp_path: Path, given: str, found: str
) -> None:
    code = (
        "import sys; sys.argv = ['manage.py', 'fetch']; import manage, os;"
        "manage.take_feed_of_running_service(); print(os.environ['TV_SOURCE'])"
    )
    env = os.environ | {"OUTPUTS_URL": str(tmp_path), "TV_SOURCE": given}
    with Announcement(tmp_path / "state", 8000) as announcement:
        announcement.publish("sample")
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env=env,
            capture_output=True,
            text=True,
            check=True,
        )

    assert done.stdout.strip() == found
