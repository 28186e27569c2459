"""Connections whose clients do not read their reply: the system closes them after a time."""

from __future__ import annotations

import logging
import os
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

# The server listens within seconds of its start.
_PATIENCE_S = 60.0
_FILES = Path("/proc/self/fd")

logger = logging.getLogger(__name__)


def close_stuck_readers_soon(*, after_s: int) -> None:
    """Call `close_stuck_readers` as soon as this process listens, which it does after loading the application."""
    threading.Thread(
        target=_until_it_listens, args=[after_s], name="stuck-readers", daemon=True
    ).start()


def close_stuck_readers(*, after_s: int) -> bool:
    """Have the system close connections to this process that accept no data for `after_s` seconds.

    The option is set on the listening sockets, and each new connection inherits it. Granian has no
    option for it and accepts no socket from us, so the sockets are looked up among the open files
    of this process. Returns whether there was a listening socket.
    """
    is_found = False
    # `socket.socket` would leave the copy of a file open that is no socket.
    for number in [int(file.name) for file in _FILES.iterdir() if file.is_socket()]:
        # Some are closed by now.
        with suppress(OSError), socket.socket(fileno=os.dup(number)) as candidate:
            is_tcp = candidate.family in (socket.AF_INET, socket.AF_INET6)
            if is_tcp and candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                option = socket.TCP_USER_TIMEOUT
                candidate.setsockopt(socket.IPPROTO_TCP, option, after_s * 1000)
                is_found = True
    return is_found


def _until_it_listens(after_s: int) -> None:
    if not (hasattr(socket, "TCP_USER_TIMEOUT") and _FILES.is_dir()):
        logger.warning("this system cannot close connections whose readers do not read")
        return
    deadline = time.monotonic() + _PATIENCE_S
    while not close_stuck_readers(after_s=after_s):
        if time.monotonic() > deadline:
            # Another WSGI server, or a test, that does not listen in this process.
            return
        time.sleep(0.05)
