"""`make run`: the real supervisor, with a real web server and a real worker."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from http.cookiejar import CookieJar
from pathlib import Path
from threading import Thread
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, OpenerDirector, ProxyHandler, build_opener
from uuid import uuid4

import pytest

from tvproject.env import SETTINGS

BASE_DIR = Path(__file__).parents[2]
DEADLINE_S = 90.0
needs_proc = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="finds processes by /proc, which is not here"
)


def wait_until(condition: Callable[[], object], *, deadline_s: float = DEADLINE_S) -> None:
    """Return when `condition` holds; fail at the deadline."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, "It did not happen in time."
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Run:
    """A supervisor under test, and what its terminal shows."""

    def __init__(self, folder: Path, *arguments: str, **variables: str) -> None:
        self.port = int(variables.get("PORT", free_port()))
        self.lines: list[str] = []
        self._folder = folder
        # Every process that comes of this run carries the mark, whoever its parent is by now.
        self._mark = f"RUN_MARK={uuid4()}"
        self.env = self._environment(folder, variables)
        self._process = subprocess.Popen(
            [sys.executable, *(arguments or ("-m", "tvproject.run"))],
            cwd=BASE_DIR,
            env=self.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = Thread(target=self._read_lines)
        self._reader.start()

    @property
    def second_terminal(self) -> dict[str, str]:
        """The environment of another terminal: it knows the folder, and no other setting."""
        clean = {name: value for name, value in os.environ.items() if name not in SETTINGS}
        return clean | {
            "DJANGO_SETTINGS_MODULE": "tvproject.settings",
            "OUTPUTS_URL": str(self._folder),
        }

    def _environment(self, folder: Path, variables: dict[str, str]) -> dict[str, str]:
        name, value = self._mark.split("=")
        return {
            **os.environ,
            **dict.fromkeys(SETTINGS, ""),
            "DJANGO_SETTINGS_MODULE": "tvproject.settings",
            "OUTPUTS_URL": str(folder),
            "PORT": str(self.port),
            "TV_SOURCE": "tradingview",
            "WEB_WORKERS": "1",
            "WORKER_PROCESSES": "1",
            name: value,
            **variables,
        }

    def _read_lines(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.lines.append(line.rstrip())

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def is_over(self) -> bool:
        return self._process.poll() is not None

    def wait_until_ready(self) -> Run:
        wait_until(lambda: "Ready:" in self.text or self.is_over)
        assert "Ready:" in self.text, self.text
        return self

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def status(self) -> int:
        """Wait for the end; return the exit status."""
        status = self._process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        return status

    def processes(self, *, running: str = "") -> list[int]:
        """Return the processes of this run that are alive, or those with this in their command."""
        return [
            int(folder.name)
            for folder in Path("/proc").glob("[0-9]*")
            if self._mark in _read(folder / "environ") and running in _read(folder / "cmdline")
        ]

    def end(self) -> None:
        """Leave nothing behind, whatever the test came to."""
        self._process.terminate()
        try:
            self._process.wait(DEADLINE_S)
        finally:
            for process in self.processes():
                os.kill(process, signal.SIGKILL)
            self._reader.join(DEADLINE_S)
            if self._process.stdout is not None:
                self._process.stdout.close()


def _read(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="replace")
    except OSError:  # gone by now, or another user's
        return ""


StartRun = Callable[..., Run]


def wait_for_worker(run: Run) -> list[int]:
    """Return the worker's processes as soon as there is one."""
    wait_until(lambda: run.processes(running="celery"))
    return run.processes(running="celery")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("outputs")


@pytest.fixture(scope="module")
def first(folder: Path) -> Iterator[Run]:
    """The first start on an empty folder, running."""
    run = Run(folder)
    try:
        yield run.wait_until_ready()
    finally:
        run.end()


@pytest.fixture
def start(first: Run, folder: Path) -> Iterator[StartRun]:
    """Return a function that starts one more, on the folder that the first start prepared."""
    runs: list[Run] = []

    def start(**variables: str) -> Run:
        runs.append(Run(folder, **variables))
        return runs[-1]

    yield start
    for run in runs:
        run.end()


def browser() -> OpenerDirector:
    return build_opener(ProxyHandler({}), HTTPCookieProcessor(CookieJar()))


def get(run: Run, path: str) -> str:
    with browser().open(f"http://127.0.0.1:{run.port}{path}", timeout=DEADLINE_S) as reply:
        return str(reply.read().decode())


def test_it_says_where_it_is_and_answers_there(first: Run) -> None:
    assert f"Ready: http://127.0.0.1:{first.port}/" in first.lines
    assert f"Admin: http://127.0.0.1:{first.port}/admin/ (login admin)" in first.lines
    assert "Bars:  from TradingView (data.tradingview.com)." in first.lines
    assert get(first, "/healthz") == '{"status": "ok"}'


def test_static_files_are_served_without_debug(first: Run) -> None:
    assert "--body-bg" in get(first, "/static/admin/css/base.css")


def test_the_password_it_made_up_opens_the_admin(first: Run) -> None:
    (password,) = re.findall(r"login admin, password (\S+) \(shown once\)", first.text)
    url = f"http://127.0.0.1:{first.port}/admin/login/"
    visitor = browser()

    with visitor.open(url, timeout=DEADLINE_S) as page:
        (token,) = re.findall(r'name="csrfmiddlewaretoken" value="(\w+)"', page.read().decode())
    form = {
        "username": "admin",
        "password": password,
        "csrfmiddlewaretoken": token,
        "next": "/admin/",
    }
    with visitor.open(url, urlencode(form).encode(), timeout=DEADLINE_S) as page:
        assert page.url.endswith("/admin/")
        assert "Log out" in page.read().decode()


def test_a_taken_port_is_named_with_a_way_out(first: Run, start: StartRun) -> None:
    second = start(PORT=str(first.port))

    assert second.status() == 1
    assert len(second.lines) == 1
    assert re.match(rf"Port {first.port} is taken; .*make run PORT=\d+$", second.text)


def test_an_unknown_setting_is_one_sentence(start: StartRun) -> None:
    run = start(TV_FOO="1")

    assert run.status() == 1
    assert run.lines == ["TV_FOO is not a setting; docs/settings.md lists them all."]


def test_what_a_system_check_finds_stops_the_start(start: StartRun) -> None:
    run = start(TV_USERNAME="alice")

    assert run.status() == 1
    assert "Only one of TV_USERNAME and TV_PASSWORD is set. Set both or none." in run.lines
    assert run.lines[-1] == "setup ended with exit status 1."


@needs_proc
def test_a_second_start_shows_no_password_and_ctrl_c_leaves_nothing(start: StartRun) -> None:
    run = start().wait_until_ready()
    wait_until(lambda: run.processes(running="celery"))

    run.send(signal.SIGINT)

    assert run.status() == 0
    assert run.processes() == []
    assert "password" not in run.text
    assert "Traceback" not in run.text


@needs_proc
def test_sigterm_during_the_start_leaves_nothing(start: StartRun) -> None:
    run = start()
    wait_until(lambda: run.processes(running="tvproject.prepare"))

    run.send(signal.SIGTERM)

    assert run.status() == 0
    assert run.processes() == []


@pytest.mark.slow
@needs_proc
def test_a_worker_that_dies_is_started_again_and_one_that_always_dies_ends_the_run(
    start: StartRun,
) -> None:
    run = start().wait_until_ready()
    said = "worker was killed by SIGKILL. It is restarted."

    def is_said(times: int) -> bool:
        return run.lines.count(said) == times

    for number in range(5):
        (worker,) = wait_for_worker(run)
        os.kill(worker, signal.SIGKILL)
        wait_until(partial(is_said, number + 1))

    os.kill(wait_for_worker(run)[0], signal.SIGKILL)

    assert run.status() == 1
    assert run.processes() == []
    assert run.lines[-1] == "worker was killed by SIGKILL. It had been restarted 5 times."


@needs_proc
@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux tells a process of its parent's end"
)
def test_when_the_supervisor_is_killed_all_stop(start: StartRun) -> None:
    run = start().wait_until_ready()
    wait_until(lambda: run.processes(running="celery"))

    run.send(signal.SIGKILL)

    wait_until(lambda: not run.processes())


@pytest.mark.slow
@needs_proc
def test_where_tradingview_cannot_be_reached_the_sample_feed_gives_bars(
    start: StartRun, tmp_path: Path
) -> None:
    # A folder of its own: the worker of the first start must not take its fetch.
    nobody = f"ws://127.0.0.1:{free_port()}"
    run = start(TV_SOURCE="", TV_WS_URL=nobody, OUTPUTS_URL=str(tmp_path)).wait_until_ready()

    assert (
        "from the sample feed: synthetic, no market data (127.0.0.1 cannot be reached)." in run.text
    )
    assert run.processes(running="samplefeed")
    reply = json.loads(get(run, "/api/tv/ohlc?symbol=BINANCE:BTCUSDT&n_bars=50"))
    assert (reply["source"], reply["count"]) == ("sample", 50)

    run.send(signal.SIGINT)

    assert run.status() == 0
    assert run.processes() == []
