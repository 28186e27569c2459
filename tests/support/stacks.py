"""Real processes for tests: the sample feed, web servers and workers, on folders of their own."""

from __future__ import annotations

import atexit
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import requests

from tvproject.env import SETTINGS

ROOT = Path(__file__).parents[2]
Found = TypeVar("Found")


def wait_until(look: Callable[[], Found], *, seconds: float = 30.0, what: str = "it") -> Found:
    """Call `look` until its result is true, and return the result; fail after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds:g} s")
        time.sleep(0.01)


def free_port() -> int:
    """Return a free port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


class Running:
    """A process in its own session, with its output in a file; `stop` ends its children too."""

    def __init__(
        self, arguments: list[str], *, env: dict[str, str], log: Path, python: str = sys.executable
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self.process = subprocess.Popen(
                [python, *arguments],
                cwd=ROOT,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE if "samplefeed" in arguments else output,
                stderr=output,
                start_new_session=True,
            )

    def first_line(self, *, seconds: float = 20.0) -> str:
        """Return the first line of the output."""
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], seconds)
        assert ready, f"nothing was printed within {seconds:g} s: {self.log.read_text()}"
        return self.process.stdout.readline().decode()

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the process and its children; wait for the end of the process."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)
        self.process.wait(timeout=20)
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        if self.process.stdout is not None:
            self.process.stdout.close()


class Feed:
    """The sample feed in its own process, controlled by its HTTP routes."""

    def __init__(self, folder: Path, *arguments: str, python: str = sys.executable) -> None:
        self._running = Running(
            ["-m", "samplefeed", "--port", "0", *arguments],
            env=dict(os.environ),
            log=folder / "feed.log",
            python=python,
        )
        self.addresses: dict[str, Any] = json.loads(self._running.first_line())
        self._session = requests.Session()

    @property
    def ws_url(self) -> str:
        return str(self.addresses["ws_url"])

    @property
    def site_url(self) -> str:
        return str(self.addresses["site_url"])

    @property
    def env(self) -> dict[str, str]:
        """The settings with the addresses of this feed."""
        names = ("ws_url", "site_url", "search_url")
        return {f"TV_{name.upper()}": self.addresses[name] for name in names}

    def stats(self) -> dict[str, Any]:
        answer: dict[str, Any] = requests.get(f"{self.site_url}/control/stats", timeout=5).json()
        return answer

    def reset(self) -> None:
        requests.post(f"{self.site_url}/control/reset", timeout=5).raise_for_status()

    def arm(self, name: str, *, times: int | None = None, **args: Any) -> None:
        """Arm a fault for the next conversations or upgrades."""
        body = {"name": name, "times": times, "args": args}
        requests.post(f"{self.site_url}/control/fault", json=body, timeout=5).raise_for_status()

    def set_clock(self, now: datetime | None) -> None:
        """Stop the feed's clock at this instant; None lets it run again."""
        body = {"now": None if now is None else now.isoformat()}
        self._session.post(
            f"{self.site_url}/control/clock", json=body, timeout=5
        ).raise_for_status()

    def stop(self) -> None:
        self._session.close()
        self._running.kill(signal.SIGTERM)


@cache
def _migrated() -> Path:
    """Return an outputs folder with a migrated SQLite catalog; a copy is quicker than migrating."""
    folder = Path(tempfile.mkdtemp(prefix="tvmigrated-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    clean = {name: value for name, value in os.environ.items() if name not in SETTINGS}
    subprocess.run(
        [sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, check=True, timeout=300,
        env=clean | {"DJANGO_SETTINGS_MODULE": "tvproject.settings", "OUTPUTS_URL": str(folder)},
    )  # fmt: skip
    return folder


class Stack:
    """Web servers and workers that share one folder, as in production."""

    def __init__(
        self, folder: Path, feed: Feed, *, python: str = sys.executable, **settings: str
    ) -> None:
        self.folder = folder
        self._python = python
        self.feed = feed
        clean = {name: value for name, value in os.environ.items() if name not in SETTINGS}
        self.env = clean | feed.env | {
            "DJANGO_SETTINGS_MODULE": "tvproject.settings",
            "OUTPUTS_URL": str(folder / "outputs"),
            "TV_SOURCE": "sample",
            "TV_RATE_PER_MINUTE": "0",
            "TV_MAX_BARS": "50000",
            # Tests and benchmarks send more requests than the limits allow.
            "API_READS_PER_MINUTE": "0",
            "API_FETCHES_PER_MINUTE": "0",
            **settings,
        }  # fmt: skip
        self._running: list[Running] = []
        self.url = ""
        if python == sys.executable and not settings.keys() & {"DATABASE_URL", "OUTPUTS_URL"}:
            shutil.copytree(_migrated(), folder / "outputs", dirs_exist_ok=True)
        else:
            self.manage("migrate", "-v0")

    @property
    def datasets_folder(self) -> Path:
        return self.folder / "outputs" / "datasets"

    def manage(
        self, *arguments: str, check: bool = True, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a management command to its end."""
        return subprocess.run(
            [self._python, "manage.py", *arguments],
            cwd=ROOT, env=self.env | env, capture_output=True, text=True, check=check, timeout=120,
        )  # fmt: skip

    def start_web(self, *, workers: int = 1, **env: str) -> Running:
        port = free_port()
        running = self._start(
            "web",
            "-m",
            "tvproject.server",
            "--port",
            str(port),
            **{"WEB_WORKERS": str(workers)} | env,
        )
        self.url = f"http://127.0.0.1:{port}"
        wait_until(self.answers, what="the web server's first answer")
        return running

    def start_worker(self, *, concurrency: int = 1, **env: str) -> Running:
        return self._start(
            "worker", "-W", "ignore:You're running the worker", "-m", "celery", "--quiet", "-A", "tvproject", "worker",
            "--concurrency", str(concurrency), "-Q", "fetches", "--loglevel", "INFO",
            "--without-gossip", "--without-mingle", "--without-heartbeat", **env,
        )  # fmt: skip

    def start_live(self, **env: str) -> Running:
        return self._start("live", "manage.py", "live", **env)

    def get(self, address: str, **parameters: Any) -> requests.Response:
        """Send a request to the API."""
        return requests.get(f"{self.url}/api/tv/{address}", params=parameters, timeout=70)

    def stop(self) -> None:
        for running in reversed(self._running):
            running.kill()

    def _start(self, name: str, *arguments: str, **env: str) -> Running:
        running = Running(
            list(arguments),
            env=self.env | env,
            log=self.folder / f"{name}.log",
            python=self._python,
        )
        self._running.append(running)
        return running

    def answers(self) -> bool:
        try:
            return requests.get(f"{self.url}/healthz", timeout=2).status_code == 200
        except (requests.ConnectionError, requests.Timeout):
            return False
