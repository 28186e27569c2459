"""Passwords that are tried at the same time: few are checked, and nobody else waits for them."""

from __future__ import annotations

import base64
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from django.contrib.auth.models import User
from django.core.cache import caches
from django.test import Client

from datasets.errors import TooManyRequests
from datasets.models import database
from datasets.serving import clients, sign_in_attempts
from tests.support.stacks import Feed, Stack, wait_until

PASSWORD = "a password of the tests"


@pytest.fixture(autouse=True)
def nothing_counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    caches["counts"].clear()
    clients.failed_sign_ins.forget()
    # A minute that ends in the middle would let in twice as many.
    now = time.time() // 60 * 60 + 5
    monkeypatch.setattr(database, "shared_now", lambda: datetime.fromtimestamp(now, UTC))
    yield
    caches["counts"].clear()
    clients.failed_sign_ins.forget()


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> list[str]:
    """Return the passwords that are hashed, each of which takes a while."""
    User.objects.create_user("ada", password=PASSWORD, is_staff=True)
    found: list[str] = []
    check = User.check_password

    def slowly(self: User, raw: str) -> bool:
        found.append(raw)
        time.sleep(0.01)
        return check(self, raw)

    monkeypatch.setattr(User, "check_password", slowly)
    return found


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def at_the_same_time(number: int, call: Callable[[int], int]) -> list[int]:
    barrier = threading.Barrier(number)

    def one(index: int) -> int:
        barrier.wait(20)
        return call(index)

    with ThreadPoolExecutor(number) as pool:
        return list(pool.map(one, range(number)))


def by_api(index: int) -> int:
    return Client().get("/api/tv/datasets", headers=basic("ada", f"wrong {index}")).status_code


def by_page(index: int) -> int:
    form = {"username": "ada", "password": f"wrong {index}"}
    return Client().post("/login/", form).status_code


def by_admin(index: int) -> int:
    form = {"username": "ada", "password": f"wrong {index}"}
    return Client().post("/admin/login/", form).status_code


@pytest.mark.parametrize("way", [by_api, by_page, by_admin])
def test_of_many_wrong_passwords_at_once_no_more_are_checked_than_the_limit(
    way: Callable[[int], int], checked: list[str], settings: Any
) -> None:
    settings.API_SIGN_INS_PER_MINUTE = 5

    statuses = at_the_same_time(40, way)

    assert 1 <= len(checked) <= 5
    assert set(statuses) <= {200, 401, 429, 503}
    assert way(99) in (200, 429)
    assert len(checked) <= 5


def test_two_processes_check_no_more_than_the_limit_together(settings: Any) -> None:
    settings.API_SIGN_INS_PER_MINUTE = 5
    tallies = [clients.Tally("fail to sign in", "API_SIGN_INS_PER_MINUTE") for _ in range(2)]

    def count(index: int) -> int:
        try:
            tallies[index % 2].count("10.0.0.1")
        except TooManyRequests:
            return 429
        return 401

    assert at_the_same_time(20, count).count(401) == 5


def test_right_passwords_are_not_counted(checked: list[str], settings: Any) -> None:
    settings.API_SIGN_INS_PER_MINUTE = 2

    for _ in range(5):
        client = Client()
        assert client.post("/login/", {"username": "ada", "password": PASSWORD}).status_code == 302
        assert client.get("/api/tv/status", headers=basic("ada", PASSWORD)).status_code == 200
    assert by_api(0) == by_api(1) == 401
    assert by_api(2) == 429


def test_one_hash_runs_at_a_time_and_the_others_are_told_to_come_back(
    checked: list[str], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.API_SIGN_INS_PER_MINUTE = 1000
    monkeypatch.setattr(sign_in_attempts, "_PATIENCE_S", 0.05)
    running = threading.BoundedSemaphore(1)
    check = User.check_password

    def alone(self: User, raw: str) -> bool:
        assert running.acquire(blocking=False), "two hashes at once"
        time.sleep(0.02)
        try:
            return check(self, raw)
        finally:
            running.release()

    monkeypatch.setattr(User, "check_password", alone)

    # From many addresses, so that no limit holds them back.
    def from_somewhere(index: int) -> int:
        address = f"10.0.0.{index}"
        headers = basic("ada", f"wrong {index}")
        return Client(REMOTE_ADDR=address).get("/api/tv/status", headers=headers).status_code

    statuses = at_the_same_time(30, from_somewhere)

    assert set(statuses) == {401, 503}
    busy = Client(REMOTE_ADDR="10.0.1.1")
    sign_in_attempts._hashing.acquire()
    try:
        refused = busy.get("/api/tv/status", headers=basic("ada", "wrong"))
        page = busy.post("/login/", {"username": "ada", "password": "wrong"}).content.decode()
    finally:
        sign_in_attempts._hashing.release()
    assert (refused.status_code, refused.json()["code"]) == (503, "busy")
    assert (refused.json()["retryable"], refused["Retry-After"]) == (True, "2")
    assert "Too many passwords are being checked now" in page
    # What was not looked at was not counted.
    settings.API_SIGN_INS_PER_MINUTE = 1
    assert busy.get("/api/tv/status", headers=basic("ada", "wrong")).status_code == 401


# --- through the web server --------------------------------------------------------------


@pytest.mark.slow
def test_a_crowd_before_the_pages_is_answered_and_so_are_the_health_checks(
    feed: Feed, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stack = Stack(tmp_path_factory.mktemp("crowd"), feed)
    with ExitStack() as open_ones:
        open_ones.callback(stack.stop)
        stack.start_web()
        # Once, so that what is read at the first request does not count.
        for address in ("/healthz", "/readyz", "/datasets/"):
            # Not ready, as no worker runs here.
            assert requests.get(stack.url + address, timeout=60).status_code in (200, 503)
        where = ("127.0.0.1", int(stack.url.rpartition(":")[2]))
        crowd = [open_ones.enter_context(socket.create_connection(where)) for _ in range(200)]
        for reader in crowd:
            reader.sendall(b"GET /datasets/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")

        # All requests queue; the probes wait for the pages before them, and get their reply.
        for address in ("/healthz", "/readyz"):
            assert requests.get(stack.url + address, timeout=30).status_code in (200, 503)
        wait_until(lambda: len(select.select(crowd, [], [], 0)[0]) == 200, what="all pages")
