"""The sockets that the web server listens on: readers that do not read are cut off by the system."""

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


def cut_off_stuck_readers_soon(*, after_s: int) -> None:
    """Do it as soon as this process listens, which it begins after its application is there."""
    threading.Thread(
        target=_until_it_listens, args=[after_s], name="stuck-readers", daemon=True
    ).start()


def cut_off_stuck_readers(*, after_s: int) -> bool:
    """Have the system close each connection to this process that takes nothing for so long.

    The option is a listening socket's, and each connection that it takes inherits it. Granian
    has no setting for it and takes no socket of ours, so its sockets are found among the files
    of this process. Returns whether there was one.
    """
    is_found = False
    for file in list(_FILES.iterdir()):
        # Some are closed by now, and most are no sockets.
        with suppress(OSError), socket.socket(fileno=os.dup(int(file.name))) as candidate:
            if _listens(candidate):
                option = socket.TCP_USER_TIMEOUT
                candidate.setsockopt(socket.IPPROTO_TCP, option, after_s * 1000)
                is_found = True
    return is_found


def _until_it_listens(after_s: int) -> None:
    if not (hasattr(socket, "TCP_USER_TIMEOUT") and _FILES.is_dir()):
        logger.warning("this system cannot close connections whose readers do not read")
        return
    deadline = time.monotonic() + _PATIENCE_S
    while not cut_off_stuck_readers(after_s=after_s):
        if time.monotonic() > deadline:
            logger.warning("connections whose readers do not read are not closed")
            return
        time.sleep(0.05)


def _listens(candidate: socket.socket) -> bool:
    is_tcp = candidate.family in (socket.AF_INET, socket.AF_INET6)
    return is_tcp and bool(candidate.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
