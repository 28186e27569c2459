"""Wake workers by a message, without waiting for the broker and without failing with it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue

from kombu.exceptions import KombuError

logger = logging.getLogger(__name__)


class Waker:
    """Sends messages from a thread of its own, one for each call of `wake`.

    A request never waits for a broker that hangs, and a message that cannot be sent is
    dropped: workers look at the queue's rows by themselves.

    Parameters
    ----------
    send
        Sends one message; may raise an error of Kombu's or of the system.
    """

    def __init__(self, send: Callable[[], object]) -> None:
        self._send = send
        self._asked: SimpleQueue[None] = SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Have a message sent soon."""
        self._asked.put(None)
        with self._lock:
            # A process that was forked has the object and not the thread.
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="waker", daemon=True)
                self._thread.start()

    def _work(self) -> None:
        while True:
            self._asked.get()
            try:
                self._send()
            except (KombuError, OSError) as error:
                n_dropped = 1 + self._drop_the_rest()
                logger.warning(
                    "the broker took no message (%s): %s not sent; workers find the fetches within seconds",
                    str(error) or type(error).__name__,
                    "1 is" if n_dropped == 1 else f"{n_dropped} are",
                )

    def _drop_the_rest(self) -> int:
        n_dropped = 0
        try:
            while True:
                self._asked.get_nowait()
                n_dropped += 1
        except Empty:
            return n_dropped
