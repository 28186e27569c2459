"""Announcements: small files that name the running services of a state folder and their sources.

`make run` writes one file and holds a lock on the file while the service runs. A file without
a lock was left by a service that has ended, and is ignored.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

_FOLDER = "services"


class Announcement:
    """One service's file, named after the port; removed at the service's end, unlocked by its death."""

    def __init__(self, state: Path, port: int) -> None:
        self._path = state / _FOLDER / f"{port}.json"
        self._locked: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._locked is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._locked)
            self._locked = None

    def publish(self, source: str, variables: Mapping[str, str] | None = None) -> None:
        """Announce the service's source, and the variables that lead to its feed, in place of earlier ones."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_name(f".{uuid4().hex}.draft")
        # `os.open` makes the descriptor non-inheritable, so the lock ends with this process.
        descriptor = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            # Locked before the rename: a reader must never find the named file unlocked.
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            os.write(
                descriptor,
                json.dumps({"source": source, "variables": dict(variables or {})}).encode(),
            )
            draft.replace(self._path)
        except OSError:
            draft.unlink(missing_ok=True)
            os.close(descriptor)
            raise
        if self._locked is not None:
            os.close(self._locked)
        self._locked = descriptor


def running_sources(state: Path) -> set[str]:
    """Return the sources of the services that run on the state folder."""
    return set(running_feeds(state))


def running_feeds(state: Path) -> dict[str, dict[str, str]]:
    """Return for each source of the running services the variables that lead to its feed."""
    found = {}
    for path in state.glob(f"{_FOLDER}/*.json"):
        with suppress(OSError, ValueError, KeyError, TypeError):
            if _is_locked(path):
                told = json.loads(path.read_text())
                source = str(told["source"])
                found[source] = dict(told.get("variables", {}))
    return found


def _is_locked(path: Path) -> bool:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
