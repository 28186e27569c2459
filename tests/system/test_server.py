"""Which thread of the web server answers a request: granian's, one for all, or one that may wait."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest
import requests

from datasets.handover import HandedOver, never_waiting, require_thread_that_may_wait
from tests.support.stacks import free_port, wait_until
from tvproject.server import Handover
from tvproject.threads import Threads

AT_ONCE = "/at/once"
APART = "/apart"


class Protocol:
    """Stands for granian's object: remembers the reply, and who gave it."""

    def __init__(self) -> None:
        self.replies: list[int] = []
        self.thread = 0

    def response_bytes(self, status: int, headers: list[Any], body: bytes) -> None:
        self.replies.append(status)
        self.thread = threading.get_ident()


def answer(protocol: Protocol, environ: dict[str, Any]) -> None:
    environ["answer"]()
    protocol.response_bytes(200, [], b"")


def say_nothing() -> None:
    pass


def environ(
    path: str = AT_ONCE, *, method: str = "GET", answer: Callable[[], None] = say_nothing
) -> dict[str, Any]:
    return {"REQUEST_METHOD": method, "PATH_INFO": path, "answer": answer}


@pytest.fixture
def handover() -> Handover:
    return Handover(
        answer, at_once=frozenset({AT_ONCE}), apart=frozenset({APART}), threads=Threads(2, 8)
    )


def ask(handover: Handover, **request: Any) -> Protocol:
    """Have a request answered, and return where the reply went."""
    protocol = Protocol()
    handover(protocol, environ(**request))
    wait_until(lambda: protocol.replies != [], what="the reply")
    return protocol


def test_what_can_be_answered_at_once_is_answered_in_the_thread_that_brought_it(
    handover: Handover,
) -> None:
    assert ask(handover).thread == threading.get_ident()


def test_what_needs_a_thread_that_may_wait_gets_one(handover: Handover) -> None:
    protocol = ask(handover, answer=require_thread_that_may_wait)

    assert protocol.replies == [200]
    assert protocol.thread != threading.get_ident()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_might_take_long_does_not_hold_the_thread_that_brought_it(
    handover: Handover, method: str
) -> None:
    assert ask(handover, path="/other", method=method).thread != threading.get_ident()


@pytest.mark.parametrize("path", [AT_ONCE, "/other"])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_what_may_have_a_body_is_answered_where_it_can_be_read(
    handover: Handover, method: str, path: str
) -> None:
    protocol = ask(handover, path=path, method=method, answer=require_thread_that_may_wait)

    assert protocol.thread == threading.get_ident()


def test_what_is_answered_apart_waits_for_nobody_else() -> None:
    may_go_on = threading.Event()
    handover = Handover(
        answer, at_once=frozenset(), apart=frozenset({APART}), threads=Threads(1, 1)
    )
    page = Protocol()
    handover(page, environ("/page", answer=lambda: assert_soon(may_go_on)))

    assert ask(handover, path=APART).replies == [200]
    assert page.replies == []
    may_go_on.set()
    wait_until(lambda: page.replies == [200], what="the page")


def assert_soon(event: threading.Event) -> None:
    assert event.wait(20)


def test_one_thread_answers_for_all_who_come_meanwhile_in_their_order(handover: Handover) -> None:
    has_begun, may_go_on = threading.Event(), threading.Event()
    order: list[int] = []

    def first() -> None:
        has_begun.set()
        assert may_go_on.wait(20)

    first_one = Protocol()
    thread = threading.Thread(target=handover, args=(first_one, environ(answer=first)))
    thread.start()
    assert has_begun.wait(20)

    later = [Protocol() for _ in range(5)]
    for number, protocol in enumerate(later):
        # Returns at once, and leaves the answer to the other.
        handover(protocol, environ(answer=lambda number=number: order.append(number)))  # type: ignore[misc]
    assert [protocol.replies for protocol in later] == [[]] * 5
    may_go_on.set()
    thread.join(20)

    assert order == [0, 1, 2, 3, 4]
    assert {protocol.thread for protocol in later} == {first_one.thread}


def test_who_comes_just_as_the_last_answer_is_given_is_not_forgotten(handover: Handover) -> None:
    late = Protocol()

    class Held:
        """The lock, in whose last moment another request comes."""

        def __init__(self) -> None:
            self._lock = threading.Lock()
            self.acquire = self._lock.acquire

        def release(self) -> None:
            if not late.replies:
                handover(late, environ())
            self._lock.release()

    handover._answering = Held()  # type: ignore[assignment]

    ask(handover)

    assert late.replies == [200]


def test_nobody_is_forgotten_when_many_bring_requests_at_once(handover: Handover) -> None:
    protocols = [Protocol() for _ in range(2000)]

    def bring(first: int) -> None:
        for protocol in protocols[first::8]:
            handover(protocol, environ())

    threads = [threading.Thread(target=bring, args=(first,)) for first in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)

    assert [protocol.replies for protocol in protocols] == [[200]] * 2000


@pytest.mark.parametrize("path", [AT_ONCE, "/other"])
def test_what_breaks_off_is_a_500_and_harms_nobody_else(
    handover: Handover, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    def break_off() -> None:
        raise ZeroDivisionError("in the middle")

    broken = ask(handover, path=path, answer=break_off)

    assert broken.replies == [500]
    assert "in the middle" in caplog.text
    assert ask(handover, path=path).replies == [200]


def test_a_thread_may_wait_again_when_it_has_answered(handover: Handover) -> None:
    ask(handover)

    # Raises nothing.
    require_thread_that_may_wait()
    with never_waiting(), pytest.raises(HandedOver):
        require_thread_that_may_wait()
    require_thread_that_may_wait()


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
    """Say which thread answers; served by the test below."""
    start_response("200 OK", [])
    return [threading.current_thread().name.encode()]


_SERVE = """
import sys
from granian.constants import Interfaces
from tvproject.server import Server
Server("tests.system.test_server:application", port=int(sys.argv[1]), interface=Interfaces.WSGI, log_enabled=False).serve()
"""


def test_granian_calls_the_application_by_our_way() -> None:
    """It has no public place for that; with another version it might pass over what we set."""
    port = free_port()
    server = subprocess.Popen([sys.executable, "-c", _SERVE, str(port)])

    def name_of_thread() -> str:
        try:
            return requests.get(f"http://127.0.0.1:{port}/other", timeout=5).text
        except requests.ConnectionError:
            return ""

    try:
        wait_until(lambda: name_of_thread() != "", what="the server's first answer")
        assert name_of_thread() == "request"
    finally:
        server.terminate()
        server.wait(timeout=20)


def test_a_wrong_setting_stops_the_start_with_its_name() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tvproject.server"],
        env=os.environ | {"WEB_THREADS": "none"}, capture_output=True, text=True, timeout=30,
    )  # fmt: skip

    assert ended.returncode == 1
    assert "WEB_THREADS" in ended.stderr
    assert "Traceback" not in ended.stderr
