"""Health checks: database, tables, outputs folder, cache, broker and worker."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from functools import cache as remember
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.cache import cache
from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from kombu import Connection

from datasets.fetching import workers

logger = logging.getLogger(__name__)

# All checks run in parallel and share this time limit.
_LIMIT_S = 1.5


class Problem(Exception):
    """A check failed; the message is a sentence for the operator."""


def missing() -> dict[str, str]:
    """Return the failed checks: name → sentence. Takes at most 2 s, even when a server hangs."""
    deadline = time.monotonic() + _LIMIT_S
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
                return f"The {self.name} did not answer within {_LIMIT_S:g} s."
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


def _look_at_database() -> None:
    if connection.vendor == "sqlite":
        name: Any = connection.settings_dict["NAME"]
        _require_same_file(Path(name))
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _require_same_file(path: Path) -> None:
    """Raise `Problem` when the file is not the one that this process saw at its first check.

    SQLite creates a missing file, so an empty catalog would pass the check.
    """
    try:
        status = path.stat()
    except FileNotFoundError:
        raise Problem(
            f"The database's file {path.name} is gone. Stop the service, put the file back, then start it again."
        ) from None
    identity = (status.st_dev, status.st_ino)
    if _identity_of(path, identity) != identity:
        raise Problem(
            f"The database's file {path.name} has been replaced while the service was running. Start the service again."
        )


@remember
def _first_identities() -> dict[Path, tuple[int, int]]:
    return {}


def _identity_of(path: Path, otherwise: tuple[int, int]) -> tuple[int, int]:
    return _first_identities().setdefault(path, otherwise)


def _look_at_tables() -> None:
    try:
        applied = MigrationRecorder(connection).applied_migrations()
    except Error as error:
        raise Problem("The tables could not be looked at: the database does not answer.") from error
    absent = [f"{app}.{name}" for app, name in sorted(_migrations() - applied.keys())]
    if absent:
        raise Problem(
            f"The database lacks {len(absent)} migrations, {absent[0]} first. Run `python -m tvproject.prepare`."
        )


@remember
def _migrations() -> frozenset[tuple[str, str]]:
    loader = MigrationLoader(None)
    assert loader.disk_migrations is not None
    return frozenset(loader.disk_migrations)


def _look_at_worker() -> None:
    if not workers.is_any_alive(settings.TV_SOURCE):
        raise Problem(workers.NONE_SEEN)


def _look_at_broker() -> None:
    url = settings.CELERY_BROKER_URL
    if url.startswith("filesystem:"):
        _require_folder(
            Path(settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_in"]), "The broker's folder"
        )
        return
    options = {"socket_connect_timeout": _LIMIT_S, "socket_timeout": _LIMIT_S}
    with Connection(
        url, connect_timeout=_LIMIT_S, transport_options=options if url.startswith("redis") else {}
    ) as broker:
        broker.connect()
        # `connect` alone sends nothing to Redis.
        broker.channel()


def _look_at_cache() -> None:
    cache.set("health", "ok", timeout=60)


def _look_at_outputs() -> None:
    _require_folder(settings.OUTPUTS_DIR, "The outputs folder")


def _require_folder(folder: Path, name: str) -> None:
    if not folder.is_dir():
        raise Problem(f"{name} is not there.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Problem(f"{name} cannot be written to.")


_CHECKS = [
    _Check("database", _look_at_database),
    _Check("tables", _look_at_tables),
    _Check("outputs", _look_at_outputs),
    _Check("cache", _look_at_cache),
    _Check("broker", _look_at_broker),
    _Check("worker", _look_at_worker),
]
