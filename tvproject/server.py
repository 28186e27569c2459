"""The web server: `python -m tvproject.server --host 0.0.0.0 --port 8000`.

Granian with its own distribution of requests to threads. Python runs one thread at a time, and
eight busy threads finish half as many requests as one. So one thread answers all requests that
need no waiting, and a few threads that may block answer the rest.
"""

from __future__ import annotations

import argparse
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from granian import wsgi
from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import mp

from datasets.handover import HandedOver, never_waiting, when_about_to_wait
from tvproject.env import SettingsError, read_settings
from tvproject.listening import cut_off_stuck_readers_soon
from tvproject.threads import Threads

BASE_DIR = Path(__file__).resolve().parents[1]
_KILL_AFTER_S = 5
# Two, so that a short request does not wait for a long one. More threads slow each other down.
_AT_A_TIME = 2

# For a load balancer's health checks, of which few come at the same time.
_THREADS_APART = 4

logger = logging.getLogger(__name__)

# Answers a request; called with granian's object for the reply and the request's environ.
Respond = Callable[[Any, dict[str, Any]], object]


class Request(NamedTuple):
    """A request, and granian's object that takes the reply from any thread."""

    protocol: Any
    environ: dict[str, Any]


class Handover:
    """Answers quick requests one after another in one thread, and hands over the others."""

    def __init__(
        self, respond: Respond, *, at_once: frozenset[str], apart: frozenset[str], threads: Threads
    ) -> None:
        self._respond = respond
        self._at_once = at_once
        self._apart = apart
        self._threads = threads
        self._threads_apart = Threads(1, _THREADS_APART)
        self._arrived: deque[Request] = deque()
        self._answering = threading.Lock()

    def __call__(self, protocol: Any, environ: dict[str, Any]) -> None:
        """Receive a request; granian calls this in any of its threads."""
        request = Request(protocol, environ)
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            # Granian allows reading the body only during this call, and the body may come slowly.
            self._answer(request)
        elif environ["PATH_INFO"] in self._at_once:
            self._arrived.append(request)
            self._answer_arrived()
        else:
            is_apart = environ["PATH_INFO"] in self._apart
            threads = self._threads_apart if is_apart else self._threads
            threads.submit(partial(self._answer, request))

    def _answer_arrived(self) -> None:
        # The first thread answers all requests that arrive meanwhile; the other threads return
        # and do not compete for the interpreter. The outer loop catches a request that arrived
        # between the inner loop's end and the lock's release.
        while self._arrived and self._answering.acquire(blocking=False):
            try:
                with never_waiting():
                    while self._arrived:
                        self._answer_at_once(self._arrived.popleft())
            finally:
                self._answering.release()

    def _answer_at_once(self, request: Request) -> None:
        try:
            self._answer(request)
        except HandedOver:
            self._threads.submit(partial(self._answer, request))

    def _answer(self, request: Request) -> None:
        try:
            self._respond(request.protocol, request.environ)
        except Exception:
            # Granian logs errors only of calls that granian itself makes.
            logger.exception("the request was not answered")
            request.protocol.response_bytes(500, [], b"")


class Server(mp.MPServer):
    """Granian's server, with `Handover` in front of the application."""

    @staticmethod
    def _spawn_wsgi_worker(*arguments: Any, **named: Any) -> None:
        # Runs in a process of the server. Granian has no option for the choice of threads.
        mp._wsgi_call_wrap = _with_handover  # type: ignore[attr-defined, assignment]
        mp.MPServer._spawn_wsgi_worker(*arguments, **named)


def _with_handover(
    application: Callable[..., Any], scope: dict[str, Any], access_log_format: str | None = None
) -> Handover:
    """Return the callable that granian calls in place of the loaded application."""
    from django.conf import settings

    cut_off_stuck_readers_soon(after_s=settings.WEB_READER_TIMEOUT_S)
    threads = Threads(_AT_A_TIME, settings.WEB_THREADS)
    when_about_to_wait(threads.about_to_wait)
    respond = wsgi._callback_wrapper(application, scope, access_log_format)
    return Handover(
        respond,
        at_once=frozenset(settings.ANSWERED_AT_ONCE),
        apart=frozenset(settings.ANSWERED_APART),
        threads=threads,
    )


def serve(host: str, port: int, *, workers: int, threads: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    Server(
        "tvproject.wsgi:application",
        address=host,
        port=port,
        interface=Interfaces.WSGI,
        workers=workers,
        blocking_threads=threads,
        websockets=False,
        log_level=LogLevels.error,
        workers_kill_timeout=_KILL_AFTER_S,
    ).serve()


def main() -> int:
    """Serve with the options of the command line and the settings; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tvproject.server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, help="port to listen on (the setting PORT)")
    arguments = parser.parse_args()
    try:
        settings = read_settings(BASE_DIR)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    serve(
        arguments.host,
        arguments.port or settings["PORT"],
        workers=settings["WEB_WORKERS"],
        threads=settings["WEB_THREADS"],
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
