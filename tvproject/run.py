"""`make run`: the web server, one worker and, where needed, the live connection and the sample feed, in one terminal.

Ctrl-C or SIGTERM stops all processes, with exit status 0. A worker that ends by itself is
restarted. When another process ends, or the worker ends too often, all processes are stopped;
the last line names the process that ended, and the exit status is 1.
"""

from __future__ import annotations

import errno
import socket
import sys
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, NoReturn

from tvproject.announcements import Announcement, running_sources
from tvproject.env import SettingsError, read_settings
from tvproject.feeds import Feed, choose_feed, tradingview, wait_until_reachable
from tvproject.output_places import places
from tvproject.processes import Crew, Ended, Process, StopAsked, TooSlow

BASE_DIR = Path(__file__).resolve().parents[1]
_HOST = "127.0.0.1"
_PROBE_S = 2.0
_START_S = 60.0
_SETUP_S = 300.0

_WORKER = (
    # In a container every process runs as root; Celery's long warning would fill each log.
    "-W", "ignore:You're running the worker",
    "-m", "celery", "--quiet", "-A", "tvproject", "worker",
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
    """Start all processes, and stop all of them together; return the exit status."""
    crew = Crew(show)
    reason = ""
    try:
        with Announcement(places(settings, BASE_DIR).state, settings["PORT"]) as announcement:
            run(crew, settings, announcement)
    except StopAsked:
        show("", "Stopping; this can take a few seconds …")
    except (Ended, TooSlow) as error:
        reason = str(error)
    finally:
        crew.stop()
    if reason:
        print(reason, file=sys.stderr)
    return 1 if reason else 0


def run(crew: Crew, settings: dict[str, Any], announcement: Announcement) -> NoReturn:
    """Start all processes and watch them; change over to TradingView once it can be reached.

    Raises `StopAsked`, `Ended` or `TooSlow`.
    """
    setup = crew.add(Process("setup", "-m", "tvproject.prepare", env={}, is_errand=True))
    feed = choose_feed(crew, settings)
    crew.wait_for(lambda: setup.is_done or None, deadline_s=_SETUP_S, what="The set-up's end")
    start(crew, settings, feed, announcement)
    if feed.is_makeshift:
        wait_until_reachable(crew, settings)
        show(
            "", "TradingView can be reached now. The web server and the worker change over to it …"
        )
        crew.dismiss("web", "worker", "live", "feed")
        announcement.publish("tradingview")
        drop_fetches(crew, settings, feed.source)
        start(crew, settings, tradingview(settings), announcement)
    crew.watch()


def start(crew: Crew, settings: dict[str, Any], feed: Feed, announcement: Announcement) -> None:
    """Start the web server and the worker with a feed, and show the service's addresses."""
    port = str(settings["PORT"])
    web = ("-m", "tvproject.server", "--host", _HOST, "--port", port)
    crew.add(Process("web", *web, env=feed.env))
    crew.wait_for(lambda: is_ready(port), deadline_s=_START_S, what="The web server's first reply")
    # After the web server: starting both together takes twice as long on a small machine.
    crew.keep(lambda: Process("worker", *_WORKER, env=feed.env))
    if settings["TV_LIVE"]:
        crew.keep(lambda: Process("live", str(BASE_DIR / "manage.py"), "live", env=feed.env))
    announcement.publish(feed.source, feed.env)
    address = settings["SITE_URL"] or f"http://{_HOST}:{port}"
    again = "\n       TradingView is tried again every minute." if feed.is_makeshift else ""
    show(
        "",
        f"\nReady: {address}/\nAdmin: {address}/admin/ (login admin)\nBars:  {feed.sentence}{again}\n",
    )


def drop_fetches(crew: Crew, settings: dict[str, Any], source: str) -> None:
    """Cancel the fetches of a source that no service uses any more, because no worker takes them."""
    if source in running_sources(places(settings, BASE_DIR).state):
        return
    arguments = ("-m", "tvproject.prepare", "--cancel-fetches-of", source)
    errand = crew.add(Process("setup", *arguments, env={}, is_errand=True))
    crew.wait_for(lambda: errand.is_done or None, deadline_s=_SETUP_S, what="The set-up's end")


def check_port(port: int) -> None:
    """Raise `SettingsError` when the port is in use or cannot be used."""
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


def is_ready(port: str) -> bool | None:
    """Return True when the web server answers, else None."""
    connection = HTTPConnection(_HOST, int(port), timeout=_PROBE_S)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200 or None
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()


def show(name: str, line: str) -> None:
    """Print a line of the process `name`."""
    # A closed pipe or terminal is no failure: the service runs on without a reader.
    with suppress(OSError):
        sys.stdout.write(f"{name} | {line}\n" if name else f"{line}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
