"""The systemd units of examples/systemd/: their form, their protection, and their commands."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

from tests.support.deployment import UNITS, read_unit
from tests.support.stacks import ROOT, Feed, Running, free_port, wait_until
from tvproject.env import SETTINGS

COMMON = UNITS / "tradingview-datasets-.service.d" / "common.conf"
SERVICES = sorted(UNITS.glob("*.service"))
QUERY = "symbol=BINANCE:BTCUSDT&timeframe=1h&wait=30"
PROJECT, STATE = "/opt/tradingview-datasets", "/var/lib/tradingview-datasets"


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """Return a copy of the units for this folder's project, with a state folder of the test."""
    folder = tmp_path / "units"
    for path in [*UNITS.glob("*.*"), COMMON]:
        if path.is_file():
            copy = folder / path.relative_to(UNITS)
            copy.parent.mkdir(parents=True, exist_ok=True)
            text = path.read_text().replace(f"{PROJECT}/.venv/bin/python", sys.executable)
            text = text.replace(PROJECT, str(ROOT)).replace(STATE, str(tmp_path / "state"))
            copy.write_text(text.replace("/etc/tradingview-datasets.env", str(tmp_path / "env")))
    (tmp_path / "state").mkdir()
    return folder


def environment(units: Path) -> dict[str, str]:
    """Return what systemd would give to a service: nothing of this process's own environment."""
    common = read_unit(units / COMMON.relative_to(UNITS))["Service"]
    (file,) = common["EnvironmentFile"]
    lines = [word for value in common["Environment"] for word in value.split()]
    lines += Path(file.removeprefix("-")).read_text().split()
    return {"PATH": "/usr/bin:/bin"} | dict(line.split("=", 1) for line in lines)


def commands(units: Path, name: str) -> list[list[str]]:
    """Return the command lines of a service, as systemd reads them."""
    lines = read_unit(units / f"tradingview-datasets-{name}.service")["Service"]["ExecStart"]
    return [shlex.split(line.replace("%%", "%")) for line in lines]


def test_the_units_name_settings_and_paths_that_fit_together() -> None:
    common = read_unit(COMMON)["Service"]

    assert common["WorkingDirectory"] == [PROJECT]
    assert common["ReadWritePaths"] == [STATE]
    assert common["NoNewPrivileges"] == ["yes"]
    assert common["ProtectSystem"] == ["strict"]
    names = [word.split("=")[0] for value in common["Environment"] for word in value.split()]
    assert set(names) <= {*SETTINGS, "PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"}
    for path in SERVICES:
        sections = read_unit(path)
        required = sections["Unit"].get("Requires", [])
        assert all((UNITS / name).exists() for name in required), path
        for line in sections["Service"]["ExecStart"]:
            assert all(
                part.startswith((f"{PROJECT}/.venv/bin/", f"{STATE}/"))
                for part in re.findall(r"/(?:opt|var)/[^\s\"$]*", line)
            ), line


def test_systemd_finds_nothing_wrong_in_the_units_and_they_are_well_protected(
    units: Path, need: Callable[[str], str]
) -> None:
    analyze = need("systemd-analyze")
    env = os.environ | {"SYSTEMD_UNIT_PATH": f"{units}:"}
    paths = [path for path in units.iterdir() if path.is_file()]

    verified = subprocess.run(
        [analyze, "verify", *paths], env=env, capture_output=True, text=True, timeout=60
    )
    assert (verified.returncode, verified.stdout + verified.stderr) == (0, "")

    for path in units.glob("*.service"):
        exposure = subprocess.run(
            # Of 10.0; a service without protection has 9.6.
            [analyze, "security", "--offline=true", "--threshold=20", path],
            env=env, capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert exposure.returncode == 0, exposure.stdout[-300:]


def test_the_commands_of_the_units_prepare_serve_fetch_and_back_up(
    units: Path, clean_feed: Feed, tmp_path: Path
) -> None:
    port = free_port()
    settings = clean_feed.env | {"TV_SOURCE": "sample", "PORT": str(port)}
    (tmp_path / "env").write_text("".join(f"{name}={text}\n" for name, text in settings.items()))
    env, url = environment(units), f"http://127.0.0.1:{port}"

    def run(name: str) -> None:
        for arguments in commands(units, name):
            subprocess.run(arguments, cwd=ROOT, env=env, check=True, timeout=120)

    run("prepare")
    running = []
    try:
        for name in ("web", "worker"):
            (line,) = commands(units, name)
            log = tmp_path / f"{name}.log"
            running.append(Running(line[1:], env=env, log=log, python=line[0]))
        wait_until(lambda: _is_ready(url), seconds=60, what="/readyz")
        reply = requests.get(f"{url}/api/tv/ohlc?{QUERY}&n_bars=50", timeout=60)
        run("backup")
    finally:
        for process in running:
            process.kill()

    assert (reply.status_code, reply.json()["count"]) == (200, 50)
    (backup,) = (tmp_path / "state" / "backups").iterdir()
    assert (backup / "backup.json").exists()
    (stored,) = (backup / "datasets").rglob("*.parquet")
    # One file on the disk, with two names.
    assert stored.stat().st_nlink == 2


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=5).status_code == 200
    except requests.ConnectionError:
        return False
