"""A Dask cluster of real processes: a scheduler and workers, each in a folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.support.stacks import ROOT, free_port, wait_until
from tvproject.env import SETTINGS


class Cluster:
    """The scheduler of a cluster, and its workers by name."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        self.folder = folder
        clean = {name: value for name, value in os.environ.items() if name not in SETTINGS}
        # The workers are outside the project's folder, as on another host.
        self.env = clean | {"PYTHONPATH": str(ROOT)} | env
        self.port = free_port()
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self._scheduler = self._start(
            "scheduler", "scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard"
        )  # fmt: skip

    @property
    def address(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start_worker(self, name: str) -> None:
        """Start a worker of one process and one thread."""
        self.workers[name] = self._start(
            name, "worker", self.address, "--name", name, "--nthreads", "1", "--no-dashboard"
        )

    def run(self, script: str, *, name: str = "study") -> subprocess.Popen[str]:
        """Start a Python script in a folder of its own, with the output in a pipe."""
        folder = self.folder / name
        folder.mkdir(exist_ok=True)
        (folder / "study.py").write_text(script)
        return subprocess.Popen(
            [sys.executable, "study.py"], cwd=folder, env=self.env, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def stop(self) -> None:
        for process in (*self.workers.values(), self._scheduler):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=20)

    def _start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        folder = self.folder / name
        folder.mkdir()
        with (folder / "log").open("wb") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "dask", *arguments],
                cwd=folder, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip


@contextmanager
def dask_cluster(folder: Path, **env: str) -> Iterator[Cluster]:
    """Run a scheduler and two workers; yield them when both workers are there."""
    cluster = Cluster(folder, env)
    try:
        for name in ("first", "second"):
            cluster.start_worker(name)
        wait_until(
            lambda: (folder / "scheduler/log").read_text().count("Register worker") >= 2,
            seconds=60,
            what="the start of the workers",
        )
        yield cluster
    finally:
        cluster.stop()
