"""Connections to PostgreSQL, with a bound on their number and a time-out for each reply."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import psycopg
from psycopg.abc import PQGen
from psycopg.pq import TransactionStatus

Reply = TypeVar("Reply")

# Seconds. A server that works ends a statement before our own time-out for the reply.
_STATEMENT_S = 15
_REPLY_S = 20.0
_CONNECT_S = 5
# Below PostgreSQL's default of 100 connections, to leave some for other programs.
_MOST_CONNECTIONS = 80
_MOST_A_PROCESS = 8


class BoundedConnection(psycopg.Connection[Any]):
    """A connection that is closed when a reply takes longer than `reply_s`.

    A hanging server still accepts data, unlike a dead one: neither TCP nor the server's own
    limits end the wait for its reply.
    """

    # None means no limit, for migrations.
    reply_s: ClassVar[float | None] = _REPLY_S

    def wait(self, gen: PQGen[Reply], interval: float = 0.1, timeout: float | None = None) -> Reply:
        try:
            return super().wait(gen, interval, self.reply_s if timeout is None else timeout)
        except psycopg.OperationalError:
            if self.pgconn.transaction_status == TransactionStatus.ACTIVE:
                # A late reply must not be read as the reply to the next query.
                self.close()
            raise


def options(n_web_processes: int, *, is_pooled: bool = False) -> dict[str, Any]:
    """Return Django's `OPTIONS` for `n_web_processes` web processes and one worker on one database.

    With `is_pooled`, PgBouncer shares the connections: it gives each statement its time limit,
    and it refuses a client that brings a limit of its own.
    """
    fair_share = _MOST_CONNECTIONS // (n_web_processes + 1)
    limit = {} if is_pooled else {"options": f"-c statement_timeout={_STATEMENT_S * 1000}"}
    return limit | {
        "connect_timeout": _CONNECT_S,
        # TCP settings that detect a dead host.
        "tcp_user_timeout": int(_REPLY_S * 1000),
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "pool": {
            "connection_class": BoundedConnection,
            "min_size": 1,
            "max_size": max(2, min(_MOST_A_PROCESS, fair_share)),
            # Seconds to wait for a free connection.
            "timeout": 5.0,
            "max_idle": 60.0,
            # Seconds until the pool stops reconnecting; the next query then tries again.
            "reconnect_timeout": 5.0,
        },
    }
