"""A backup of a running service is complete or known to be incomplete; a restore gives equal datasets."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest
import requests

from tests.support import servers
from tests.support.stacks import ROOT, Feed, Stack
from tests.support.study_files import write

SYMBOLS = [f"LOAD:S{number}" for number in range(6)]
# Kills the process of `manage.py backup` at its third copy.
KILLED = """
import os, signal, sys
from pathlib import Path
from datasets.catalog import backups
link, copied = Path.hardlink_to, []
def link_or_die(target, path):
    copied.append(path)
    if len(copied) == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    link(target, path)
Path.hardlink_to = link_or_die
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory, feed: Feed) -> Iterator[Stack]:
    """A service's folder with three datasets in it."""
    made = Stack(tmp_path_factory.mktemp("backups"), feed)
    for symbol in SYMBOLS[:3]:
        write(made.folder / "outputs", 50, source="sample", symbol=symbol)
    made.manage("datasets", "rebuild")
    yield made
    made.stop()


@pytest.fixture(scope="module")
def backup(stack: Stack) -> Path:
    """A backup of that folder."""
    folder = stack.folder / "backup"
    stack.manage("backup", str(folder))
    return folder


def kept(stack: Stack, **env: Any) -> dict[str, str]:
    """Return the content hash that the catalog holds for each file."""
    rows = json.loads(stack.manage("datasets", "list", "--json", **env).stdout)
    return {row["path"]: row["content_hash"] for row in rows}


def files_of(outputs: Path) -> set[str]:
    folder = outputs / "datasets"
    return {path.relative_to(folder).as_posix() for path in folder.glob("*/*.parquet")}


@pytest.mark.slow
def test_a_backup_during_writes_restores_every_dataset_unchanged(
    clean_feed: Feed, tmp_path: Path
) -> None:
    live = Stack(tmp_path, clean_feed)
    stop, backup, other = Event(), tmp_path / "backup", tmp_path / "other"

    def fetch_again() -> None:
        for n_bars in range(50, 1000):
            if stop.is_set():
                return
            body = {"symbols": SYMBOLS, "n_bars": n_bars}
            requests.post(f"{live.url}/api/tv/fetches", json=body, timeout=20)

    try:
        live.start_worker()
        live.start_web()
        live.manage("fetch", *SYMBOLS, "-n", "49", "--json")
        busy = Thread(target=fetch_again)
        busy.start()
        made = live.manage("backup", str(backup), check=False)
        stop.set()
        busy.join()
    finally:
        live.stop()
    assert (made.returncode, made.stderr) == (0, "")

    done = live.manage("restore", str(backup), check=False, OUTPUTS_URL=str(other))

    assert (done.returncode, done.stderr) == (0, "")
    there = kept(live, OUTPUTS_URL=str(other))
    assert len(there) >= len(SYMBOLS)
    assert json.loads((backup / "backup.json").read_text())["files"] == there
    for name in there:
        copy = pq.read_table(backup / "datasets" / name)
        assert copy.equals(pq.read_table(other / "datasets" / name))
    key = (tmp_path / "outputs/state/secret_key").read_text()
    assert (other / "state/secret_key").read_text() == key


def test_a_killed_backup_is_known_to_be_incomplete(stack: Stack, tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    code = f"import django; django.setup(); {KILLED}\nbackups.back_up(__import__('pathlib').Path(sys.argv[1]))"

    killed = subprocess.run([sys.executable, "-c", code, folder], cwd=ROOT, env=stack.env)
    done = stack.manage("restore", str(folder), check=False, OUTPUTS_URL=str(tmp_path / "other"))

    assert killed.returncode == -signal.SIGKILL
    assert len(list((folder / "datasets").glob("*/*"))) == 2
    assert done.returncode == 1
    assert "is not a complete backup: the backup was interrupted" in done.stderr
    assert not (tmp_path / "other/datasets").exists()
    again = stack.manage("backup", str(folder), check=False)
    assert "name a new folder for each backup" in again.stderr


@pytest.mark.slow
def test_a_restore_over_data_is_refused_and_with_force_moves_the_data_aside(
    stack: Stack, backup: Path, tmp_path: Path
) -> None:
    other = str(tmp_path)
    write(tmp_path, 50, source="sample", symbol="LOAD:OTHER")

    refused = stack.manage("restore", str(backup), check=False, OUTPUTS_URL=other)
    assert refused.returncode == 1
    assert "--force" in refused.stderr
    assert files_of(tmp_path) == {"sample/LOAD_OTHER_1h_50.parquet"}

    stack.manage("restore", str(backup), "--force", OUTPUTS_URL=other)
    assert kept(stack, OUTPUTS_URL=other) == kept(stack)
    (aside,) = tmp_path.glob("datasets.before-restore-*")
    assert [path.name for path in aside.glob("*/*.parquet")] == ["LOAD_OTHER_1h_50.parquet"]


def test_a_damaged_backup_is_refused_before_anything_changes(
    stack: Stack, backup: Path, tmp_path: Path
) -> None:
    damaged = shutil.copytree(backup, tmp_path / "damaged")
    path = next((damaged / "datasets").glob("*/*.parquet"))
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes([content[100] ^ 255]) + content[101:])

    done = stack.manage("restore", str(damaged), check=False, OUTPUTS_URL=str(tmp_path / "other"))

    assert done.returncode == 1
    assert path.name in done.stderr
    assert not (tmp_path / "other/datasets").exists()


@pytest.mark.slow
def test_a_catalog_in_postgresql_is_backed_up_and_restored_with_pg_dump(
    need: servers.Need, postgresql_url: str, stack: Stack, tmp_path: Path
) -> None:
    need("pg_dump")
    address = postgresql_url.removesuffix("postgres")
    live: dict[str, Any] = {"DATABASE_URL": f"{address}backup_live"}
    other: dict[str, Any] = {
        "DATABASE_URL": f"{address}backup_other",
        "OUTPUTS_URL": str(tmp_path / "other"),
    }
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        for name in ("backup_live", "backup_other"):
            connection.execute(f"CREATE DATABASE {name}")
    stack.manage("migrate", "-v0", **live)
    stack.manage("datasets", "rebuild", **live)

    made = stack.manage("backup", str(tmp_path / "backup"), **live)
    stack.manage("restore", str(tmp_path / "backup"), **other)

    assert made.stderr == ""
    assert kept(stack, **other) == kept(stack, **live) == kept(stack)
    refused = stack.manage("restore", str(tmp_path / "backup"), check=False, **other)
    assert "the database" in refused.stderr
