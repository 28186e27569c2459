"""Fetching goes on whatever is killed or away: a worker's process, or the broker."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.support import servers
from tests.support.stacks import free_port, wait_until
from tests.system.test_run import BASE_DIR, Run

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/environ").exists(), reason="finds processes by /proc, which is not here"
)
BROKERS = {"redis": servers.redis, "rabbitmq": servers.rabbitmq}
# The longest that anything here may hold fetching up, and a request that only asks for one.
FETCHED_WITHIN_S = 30.0
ASKED_WITHIN_S = 5.0


class Service:
    """`make run` on the sample feed, and a broker that can go away and come back."""

    def __init__(self, folder: Path, broker: str, need: servers.Need, server: ExitStack) -> None:
        self._start = BROKERS.get(broker)
        self._need = need
        self._server = server
        self._port = free_port()
        settings = {}
        if self._start is not None:
            settings["CELERY_BROKER_URL"] = self.start_broker()
        self.run = Run(folder, TV_SOURCE="sample", TV_RATE_PER_MINUTE="0", **settings)
        self._n_asked = 0

    def start_broker(self) -> str:
        assert self._start is not None
        return self._server.enter_context(self._start(self._need, port=self._port))

    def stop_broker(self) -> None:
        self._server.close()

    def let_broker_hang(self) -> None:
        """Accept connections at the broker's port, and never answer."""
        listener = socket.create_server(("127.0.0.1", self._port))
        self._server.callback(listener.close)

    def ask(self, **parameters: Any) -> requests.Response:
        """Ask for a symbol that was not asked for before."""
        self._n_asked += 1
        address = f"http://127.0.0.1:{self.run.port}/api/tv/ohlc"
        parameters |= {"symbol": f"LOAD:S{self._n_asked}", "n_bars": 50}
        return requests.get(address, params=parameters, timeout=70)


@pytest.fixture(scope="module", params=["files", *BROKERS])
def service(
    request: pytest.FixtureRequest, need: servers.Need, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    with ExitStack() as server:
        folder = tmp_path_factory.mktemp(request.param)
        running = Service(folder, request.param, need, server)
        try:
            running.run.wait_until_ready()
            yield running
        finally:
            running.run.end()


def worker_of(service: Service) -> list[int]:
    return service.run.processes(running="celery")


def expect_fetched(service: Service) -> None:
    reply = service.ask(wait=FETCHED_WITHIN_S)
    assert reply.status_code == 200, (reply.text, service.run.text)


@pytest.mark.slow
def test_each_process_of_the_worker_may_be_killed_and_fetching_goes_on(service: Service) -> None:
    expect_fetched(service)

    for process in sorted(worker_of(service), reverse=True):
        os.kill(process, signal.SIGKILL)
        expect_fetched(service)

    wait_until(lambda: worker_of(service), what="the worker's restart")
    assert not service.run.is_over


@pytest.mark.parametrize("service", list(BROKERS), indirect=True)
@pytest.mark.slow
def test_a_broker_that_is_away_or_hangs_fails_no_request_and_fetching_goes_on(
    service: Service,
) -> None:
    expect_fetched(service)

    service.stop_broker()
    expect_asked_soon(service)
    expect_fetched(service)
    expect_command_fetches(service)

    service.let_broker_hang()
    expect_asked_soon(service)
    expect_fetched(service)

    service.stop_broker()
    service.start_broker()
    expect_fetched(service)
    assert "Traceback" not in service.run.text
    assert not service.run.is_over


def expect_asked_soon(service: Service) -> None:
    """Check that asking for a fetch takes no time, in both ways that the API has."""
    began = time.monotonic()
    assert service.ask(wait=0).status_code == 202
    address = f"http://127.0.0.1:{service.run.port}/api/tv/fetches"
    body = {"symbols": [f"LOAD:A{number}" for number in range(5)], "n_bars": 20}
    assert requests.post(address, json=body, timeout=70).status_code == 202
    assert time.monotonic() - began < ASKED_WITHIN_S


def expect_command_fetches(service: Service) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", "fetch", "LOAD:COMMAND", "-n", "50", "--json"],
        cwd=BASE_DIR, env=service.run.env, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
