"""The health of the service: its checks run in parallel and share a time limit."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from django.db import connection

from datasets.serving import health_checks
from datasets.serving.health_checks import LIMIT_S, Problem

logger = logging.getLogger(__name__)


def missing() -> dict[str, str]:
    """Return the failed checks: name → sentence. Takes at most 2 s, even when a server hangs."""
    deadline = time.monotonic() + LIMIT_S
    for check in _CHECKS:
        check.begin()
    found = {check.name: check.outcome(deadline) for check in _CHECKS}
    return {name: sentence for name, sentence in found.items() if sentence}


class _Check:
    """One check in a thread of its own; a check that hangs is not started a second time."""

    def __init__(self, name: str, look: Callable[[], None]) -> None:
        self.name = name
        self._look = look
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._sentence = ""

    def begin(self) -> None:
        """Start the check, unless an earlier run has not ended."""
        with self._lock:
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name=f"check-{self.name}", daemon=True)  # fmt: skip
                self._thread.start()

    def outcome(self, deadline: float) -> str:
        """Return the sentence of a failed check, or "" for a passed one; waits until the deadline."""
        thread = self._thread
        if thread is not None:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                return f"The {self.name} did not answer within {LIMIT_S:g} s."
        return self._sentence

    def _run(self) -> None:
        try:
            self._look()
            self._sentence = ""
        except Problem as problem:
            self._sentence = str(problem)
        except Exception as error:  # noqa: BLE001
            # The thread's outer edge: any error of the check means that the check failed.
            logger.warning("health: %s: %s", self.name, error)
            self._sentence = f"The {self.name} does not answer ({type(error).__name__})."
        finally:
            connection.close()


_CHECKS = [
    _Check("database", health_checks.check_database),
    _Check("tables", health_checks.check_tables),
    _Check("outputs", health_checks.check_outputs),
    _Check("cache", health_checks.check_cache),
    _Check("broker", health_checks.check_broker),
    _Check("worker", health_checks.check_worker),
    _Check("live connection", health_checks.check_live),
]
