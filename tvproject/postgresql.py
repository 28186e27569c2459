"""Connections to PostgreSQL: a bounded number for each process, and none waits for ever."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

Reply = TypeVar("Reply")

# Seconds. The server itself ends a statement first, as long as it runs at all.
_STATEMENT_S = 15
_REPLY_S = 20.0
_CONNECT_S = 5
# Below the 100 connections that PostgreSQL gives by default, with some left for other programs.
_MOST_CONNECTIONS = 80
_MOST_A_PROCESS = 8


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is given up when a reply does not come in time.

    A server that hangs, unlike one that is gone, still takes what is sent to it: neither TCP
    nor the server's own limits end such a wait.
    """

    # None for no limit: a migration may take long.
    reply_s: ClassVar[float | None] = _REPLY_S

    def wait(self, gen: PQGen[Reply], interval: float = 0.1, timeout: float | None = None) -> Reply:
        try:
            return super().wait(gen, interval, self.reply_s if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                # The reply may still come, and must not be taken for that to another question.
                self.close()
            raise


def options(n_web_processes: int) -> dict[str, Any]:
    """Return Django's `OPTIONS`, for so many web processes and a worker beside each other."""
    fair_share = _MOST_CONNECTIONS // (n_web_processes + 1)
    return {
        "connect_timeout": _CONNECT_S,
        "options": f"-c statement_timeout={_STATEMENT_S * 1000}",
        # A host that is gone is noticed by these.
        "tcp_user_timeout": int(_REPLY_S * 1000),
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "pool": {
            "connection_class": BoundedConnection,
            "min_size": 1,
            "max_size": max(2, min(_MOST_A_PROCESS, fair_share)),
            # Seconds to wait for one that is free.
            "timeout": 5.0,
            "max_idle": 60.0,
            # A server that was away is tried again by the next query after this, at the latest.
            "reconnect_timeout": 5.0,
        },
    }
