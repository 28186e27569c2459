"""Celery's `filesystem://` broker with atomic messages, in place of Kombu's transport.

Kombu writes a message under its final name, so that a worker may read an empty file and end;
see docs/decisions/0007. This transport offers only direct exchanges, and each process has
only the queues that the process itself declared.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any
from uuid import uuid4

from kombu.transport import TRANSPORT_ALIASES, base, virtual

from tvproject.durable import write_durably

logger = logging.getLogger(__name__)

_SUFFIX = ".msg"
_UNREADABLE = "unreadable"


class Channel(virtual.Channel):
    """One file for each message, received in any order, because messages only wake workers.

    Without an order the cost of receiving does not grow with the number of messages.
    """

    supports_fanout = False

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        write_durably(self._folder / f"{uuid4().hex}.{queue}{_SUFFIX}", json.dumps(message))

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        for path in self._messages(queue):
            with suppress(FileNotFoundError):
                text = path.read_bytes()
                try:
                    message = _message(text)
                except ValueError:
                    self._set_aside(path, len(text))
                    continue
                # Only one worker's `unlink` succeeds; that worker receives the message.
                path.unlink()
                return message
        raise Empty

    def _set_aside(self, path: Path, n_bytes: int) -> None:
        folder = self._folder / _UNREADABLE
        folder.mkdir(exist_ok=True)
        path.rename(folder / path.name)
        logger.warning(
            "%s holds no message (%s bytes) and was moved to %s. No fetch is lost: the fetches are rows of the database.",
            path.name,
            n_bytes,
            folder,
        )

    def _size(self, queue: str) -> int:
        return sum(1 for _ in self._messages(queue))

    def _purge(self, queue: str) -> int:
        n_purged = 0
        for path in self._messages(queue):
            with suppress(FileNotFoundError):
                path.unlink()
                n_purged += 1
        return n_purged

    def _messages(self, queue: str) -> Iterator[Path]:
        """Yield the paths of the queue's messages lazily, in the order of the file system."""
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.name.endswith(f".{queue}{_SUFFIX}") and not entry.name.startswith("."):
                    yield Path(entry.path)

    @property
    def _folder(self) -> Path:
        client: Any = self.connection.client
        return Path(client.transport_options["data_folder_in"])


def _message(text: bytes) -> dict[str, Any]:
    """Return the message; raise `ValueError` for other contents, such as the remains of a power cut."""
    message = json.loads(text)
    match message:
        case {"body": str(), "headers": dict(), "properties": {"delivery_tag": str()}}:
            return message  # type: ignore[no-any-return]
    raise ValueError(text)


class Transport(virtual.Transport):
    """The transport that Celery opens for `filesystem://`."""

    Channel = Channel
    implements = base.Transport.implements.extend(
        asynchronous=False, exchange_type=frozenset(["direct"])
    )
    # Holds the declared queues, for all connections of the process.
    global_state = virtual.BrokerState()
    default_port = 0
    driver_type = "filesystem"
    driver_name = "filesystem"

    def __init__(self, client: Any, **kwargs: Any) -> None:
        super().__init__(client, **kwargs)
        self.state = self.global_state

    def driver_version(self) -> str:
        return "N/A"


def install() -> None:
    """Register this transport for `filesystem://`."""
    TRANSPORT_ALIASES["filesystem"] = "tvproject.broker:Transport"
