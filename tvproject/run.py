"""`make run`: the web server, one worker and, where needed, the sample feed, in one terminal.

Ctrl-C or SIGTERM stops all of it and the exit status is 0. When one process ends by itself,
the others are stopped, the last line says which one and how, and the exit status is 1.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import sys
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import urlsplit

from tvproject.env import SettingsError, read_settings
from tvproject.processes import Crew, Ended, Process, StopAsked, TooSlow

BASE_DIR = Path(__file__).resolve().parents[1]
_HOST = "127.0.0.1"
_PROBE_S = 2.0
_START_S = 60.0
_SETUP_S = 300.0

_WORKER = (
    # In a container all are root, and Celery's paragraph against it would open every log.
    "-W", "ignore:You're running the worker",
    "-m", "celery", "--quiet", "-A", "tvproject", "worker", "--pool", "prefork", "-Q", "fetches",
    "--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat",
)  # fmt: skip


def main() -> int:
    """Run until stopped; return the exit status."""
    try:
        settings = read_settings(BASE_DIR)
        check_port(settings["PORT"])
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    return supervise(settings)


def supervise(settings: dict[str, Any]) -> int:
    """Start everything, and stop everything at the first reason to; return the exit status."""
    crew = Crew(show)
    reason = ""
    try:
        start(crew, settings)
        crew.watch()
    except StopAsked:
        show("", "Stopping; this can take a few seconds …")
    except (Ended, TooSlow) as error:
        reason = str(error)
    finally:
        crew.stop()
    if reason:
        print(reason, file=sys.stderr)
    return 1 if reason else 0


def start(crew: Crew, settings: dict[str, Any]) -> None:
    """Start everything in order, and say where it is to be found."""
    setup = crew.add(Process("setup", "-m", "tvproject.prepare", env={}, is_errand=True))
    env, source = choose_feed(crew, settings)
    crew.wait_for(lambda: setup.is_done or None, deadline_s=_SETUP_S, what="The set-up's end")
    port = str(settings["PORT"])
    web = ("-m", "tvproject.server", "--host", _HOST, "--port", port)
    crew.add(Process("web", *web, env=env))
    crew.wait_for(lambda: is_ready(port), deadline_s=_START_S, what="The web server's first reply")
    # Not beside the web server's start, which would then take twice as long on a small machine.
    worker = ("--concurrency", str(settings["WORKER_PROCESSES"]))
    crew.add(Process("worker", *_WORKER, *worker, env=env))
    address = settings["SITE_URL"] or f"http://{_HOST}:{port}"
    show("", f"\nReady: {address}/\nAdmin: {address}/admin/ (login admin)\nBars:  {source}\n")


def check_port(port: int) -> None:
    """Raise `SettingsError` when something else listens on the port."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((_HOST, port))
        except OSError as error:
            is_taken = error.errno == errno.EADDRINUSE
            why = "is taken" if is_taken else f"cannot be used ({error.strerror})"
            other = port + 1 if port < 65535 else 8000
            raise SettingsError(
                f"Port {port} {why}; choose another, such as: make run PORT={other}"
            ) from None


def choose_feed(crew: Crew, settings: dict[str, Any]) -> tuple[dict[str, str], str]:
    """Return the variables that name the feed, and what to say of it."""
    # Not from `settings`: without `make run` the default is tradingview.
    asked = os.environ.get("TV_SOURCE", "").strip() or "auto"
    address = urlsplit(settings["TV_WS_URL"])
    if asked == "tradingview" or (asked == "auto" and can_reach(crew, settings["TV_WS_URL"])):
        return {"TV_SOURCE": "tradingview"}, f"from TradingView ({address.hostname})."
    why = "TV_SOURCE=sample" if asked == "sample" else f"{address.hostname} cannot be reached"
    return start_sample_feed(crew), f"from the sample feed: synthetic, no market data ({why})."


def can_reach(crew: Crew, url: str) -> bool:
    """Whether the host of `url` accepts a connection within two seconds."""
    address = urlsplit(url)
    port = address.port or (443 if address.scheme == "wss" else 80)
    found: list[bool] = []

    def probe() -> None:
        try:
            socket.create_connection((address.hostname, port), timeout=_PROBE_S).close()
            found.append(True)
        except (OSError, UnicodeError):
            found.append(False)

    # In a thread, because the search for the host's address knows no timeout.
    Thread(target=probe, daemon=True).start()
    with suppress(TooSlow):
        return crew.wait_for(lambda: found or None, deadline_s=_PROBE_S, what="A reply")[0]
    return False


def start_sample_feed(crew: Crew) -> dict[str, str]:
    """Start the sample feed on a free port; return the variables that lead to it."""
    feed = crew.add(Process("feed", "-m", "samplefeed", "--port", "0", env={}))
    line = crew.wait_for(
        lambda: feed.announcement or None, deadline_s=_START_S, what="The sample feed's address"
    )
    addresses = json.loads(line)
    return {"TV_SOURCE": "sample"} | {
        f"TV_{name.upper()}": addresses[name] for name in ("ws_url", "site_url", "search_url")
    }


def is_ready(port: str) -> bool | None:
    """True when the web server says that it can serve, None until then."""
    connection = HTTPConnection(_HOST, int(port), timeout=_PROBE_S)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200 or None
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def show(name: str, line: str) -> None:
    """Show one line of one process."""
    # Nobody reads it any more when a pipe or the terminal was closed; that is no failure.
    with suppress(OSError):
        sys.stdout.write(f"{name} | {line}\n" if name else f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
