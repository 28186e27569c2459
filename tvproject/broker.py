"""Celery's `filesystem://` broker, with messages that appear and are taken whole.

Kombu's own writes a message under its final name, so that a worker which looks at that
moment reads an empty file and ends; see docs/decisions/0007. Only what this project needs:
direct exchanges, known to each process from its own declarations.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from queue import Empty
from typing import Any
from uuid import uuid4

from kombu.transport import TRANSPORT_ALIASES, base, virtual

_SUFFIX = ".msg"


class Channel(virtual.Channel):
    """Each message is one file; the oldest name is taken first."""

    supports_fanout = False

    def _put(self, queue: str, message: Any, **kwargs: Any) -> None:
        name = f"{time.time_ns()}_{uuid4().hex}"
        draft = self._folder / f".{name}.draft"
        draft.write_text(json.dumps(message))
        draft.rename(self._folder / f"{name}.{queue}{_SUFFIX}")

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, Any]:
        for path in self._messages(queue):
            # A rename succeeds for one of those who try: that one has the message.
            mine = path.with_name(f".{path.name}.{uuid4().hex}")
            with suppress(FileNotFoundError):
                path.rename(mine)
                payload: dict[str, Any] = json.loads(mine.read_text())
                mine.unlink()
                return payload
        raise Empty

    def _size(self, queue: str) -> int:
        return len(self._messages(queue))

    def _purge(self, queue: str) -> int:
        n_purged = 0
        for path in self._messages(queue):
            with suppress(FileNotFoundError):
                path.unlink()
                n_purged += 1
        return n_purged

    def _messages(self, queue: str) -> list[Path]:
        return sorted(self._folder.glob(f"[!.]*.{queue}{_SUFFIX}"))

    @property
    def _folder(self) -> Path:
        client: Any = self.connection.client
        return Path(client.transport_options["data_folder_in"])


class Transport(virtual.Transport):
    """What Celery opens for `filesystem://`."""

    Channel = Channel
    implements = base.Transport.implements.extend(
        asynchronous=False, exchange_type=frozenset(["direct"])
    )
    # One for all connections of the process: it holds the declared queues.
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
    """Have `filesystem://` mean this transport."""
    TRANSPORT_ALIASES["filesystem"] = "tvproject.broker:Transport"
