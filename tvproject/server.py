"""Start the web server: `python -m tvproject.server --host 0.0.0.0 --port 8000`.

This process becomes granian, by granian's own command line and with the options below.
"""

from __future__ import annotations

import argparse
import os
import resource
import sys
from pathlib import Path
from typing import Any

from tvproject.env import SettingsError, read_settings

BASE_DIR = Path(__file__).resolve().parents[1]
# Connections of each process. Requests beyond the threads queue, so more connections than threads
# are fine, and idle ones must not use up the number.
_CONNECTIONS = 8192
# A connection without a complete request for this long is closed: also an idle one.
_HEADERS_MS = 10_000
_KILL_AFTER_S = 5


def command(host: str, port: int, settings: dict[str, Any]) -> list[str]:
    """Return the command line of granian."""
    options = {
        "--interface": "wsgi",
        # HTTP/2 lets one client hold many replies with closed windows; a proxy can offer it.
        "--http": "1",
        "--host": host,
        "--port": port,
        "--workers": settings["WEB_WORKERS"],
        "--blocking-threads": settings["WEB_THREADS"],
        "--backlog": _CONNECTIONS,
        "--backpressure": _CONNECTIONS,
        "--http1-header-read-timeout": _HEADERS_MS,
        "--workers-kill-timeout": _KILL_AFTER_S,
        "--log-level": "error",
        "--working-dir": BASE_DIR,
    }
    named = [str(part) for option in options.items() for part in option]
    return [sys.executable, "-m", "granian", *named, "--no-ws", "tvproject.wsgi:application"]


def allow_many_connections() -> None:
    """Raise the limit of open files, of which each connection is one, as far as the system allows."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> int:
    """Become the web server; return the exit status of a start that failed."""
    parser = argparse.ArgumentParser(prog="python -m tvproject.server", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, help="port to listen on (the setting PORT)")
    arguments = parser.parse_args()
    try:
        settings = read_settings(BASE_DIR)
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    allow_many_connections()
    words = command(arguments.host, arguments.port or settings["PORT"], settings)
    os.execv(words[0], words)


if __name__ == "__main__":
    sys.exit(main())
