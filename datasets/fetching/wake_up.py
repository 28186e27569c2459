"""Messages that wake workers; a background thread sends them, so that no caller waits for the broker."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from kombu.exceptions import KombuError

logger = logging.getLogger(__name__)


class Waker:
    """Sends one message for each call of `wake`, from a background thread.

    A broker that hangs therefore delays no request. A message that cannot be sent is dropped:
    workers also read the queue's rows every second.

    Parameters
    ----------
    send
        Sends one message; may raise `KombuError` or `OSError`.
    """

    def __init__(self, send: Callable[[], object]) -> None:
        self._send = send
        self._requests: SimpleQueue[None] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Request a message; the background thread sends it soon."""
        self._requests.put(None)
        with self._lock:
            # A fork copies this object but not its thread.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="waker", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            self._requests.get()
            try:
                self._send()
            except (KombuError, OSError) as error:
                n_dropped = 1
                # Each further message would fail only after the broker's time-out.
                with suppress(Empty):
                    while True:
                        self._requests.get_nowait()
                        n_dropped += 1
                logger.warning(
                    "the broker accepted no message (%s): %s not sent; workers find the fetches within seconds",
                    str(error) or type(error).__name__,
                    "1 is" if n_dropped == 1 else f"{n_dropped} are",
                )
