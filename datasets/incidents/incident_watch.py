"""A thread of each worker that keeps the incidents up to date and sends their messages."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any

from celery import bootsteps
from django.db import Error, close_old_connections

from datasets.incidents import delivery
from datasets.incidents.incident_log import update_incidents

logger = logging.getLogger(__name__)


class IncidentWatch(bootsteps.StartStopStep):
    """Looks for failures every half minute, and for due messages every few seconds.

    A thread of its own: a receiver that hangs must not delay the sweep of the fetches.
    """

    requires = ("celery.worker.components:Pool",)
    _LOOKED_EVERY_S = 30.0
    _DELIVERED_EVERY_S = 3.0
    # A message on its way at the end is left to another worker.
    _STOP_S = 2.0

    def start(self, parent: Any) -> None:
        """Start the thread; `parent` is Celery's worker."""
        self._is_stopping = threading.Event()
        self._thread = threading.Thread(target=self._watch_on, name="incidents", daemon=True)
        self._thread.start()

    def stop(self, parent: Any) -> None:
        """Stop the thread."""
        self._is_stopping.set()
        self._thread.join(self._STOP_S)

    def _watch_on(self) -> None:
        looked_at = float("-inf")
        while not self._is_stopping.wait(self._DELIVERED_EVERY_S):
            close_old_connections()
            try:
                if time.monotonic() >= looked_at + self._LOOKED_EVERY_S:
                    looked_at = time.monotonic()
                    update_incidents()
                delivery.deliver_due()
            except Error as error:
                logger.warning("the incidents were not read: %s", error)
            except Exception:
                # Without this catch the thread would end, and no incident would be noticed.
                logger.exception("the incidents were not read")
        close_old_connections()
