"""Entries of Django's `DATABASES` and `CACHES`, and Celery's broker, from the URLs in the settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import environ
from redis.backoff import NoBackoff
from redis.retry import Retry

from tvproject import postgresql


def database(
    url: str, state: Path, *, n_web_processes: int, is_pooled: bool = False
) -> dict[str, Any]:
    """Return the entry of `DATABASES` for `url`; "" is SQLite in the state folder.

    `is_pooled` is for PgBouncer in transaction mode: no value of a session may be relied on.
    """
    url = url or "sqlite://"
    config: dict[str, Any] = environ.Env.db_url_config(url)
    if url.startswith("sqlite:"):
        # django-environ reads the path as a query, in which `+` means a space.
        path = unquote(urlsplit(url).path.removeprefix("/"))
        config["NAME"] = path or str(state / "catalog.sqlite3")
    given = config.get("OPTIONS", {})
    config["CONN_HEALTH_CHECKS"] = True
    if config["ENGINE"].endswith("postgresql"):
        config["OPTIONS"] = postgresql.options(n_web_processes, is_pooled=is_pooled) | given
        # The statements of one cursor could go to different connections of PostgreSQL.
        config["DISABLE_SERVER_SIDE_CURSORS"] = is_pooled
        # Connections return to the pool after each request.
        config["CONN_MAX_AGE"] = 0
    else:
        # A new connection for each request would cost more than the request's one query.
        config["CONN_MAX_AGE"] = 60
        config["OPTIONS"] = {
            # Web processes and workers write side by side. In WAL readers never wait; with
            # IMMEDIATE a writer waits for its lock at BEGIN instead of failing half-way.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
            **given,
        }
    return config


def cache(url: str, state: Path, name: str) -> dict[str, Any]:
    """Return the entry of `CACHES` for `url`; "" is a folder `name` in the state folder."""
    if url:
        return {
            "BACKEND": "django.core.cache.backends.redis.RedisCache",
            "LOCATION": url,
            "KEY_PREFIX": name,
            # Version 0.3.0 stored pickles under version 1 of the keys; they are never read again.
            "VERSION": 2,
            "OPTIONS": {
                "serializer": "tvproject.json_cache.JsonSerializer",
                # Seconds. Without limits a hanging server blocks a request for minutes. One retry
                # covers a connection that the server's restart has cut.
                "socket_timeout": 3,
                "socket_connect_timeout": 3,
                "retry": Retry(NoBackoff(), 1),
            },
        }
    # On disk, because web processes and workers share the entries.
    return {
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": str(state / name),
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }


def broker(url: str, state: Path, source: str) -> tuple[str, dict[str, Any]]:
    """Return Celery's broker and its transport options for `url`; makes the folder of `filesystem://`."""
    if url.startswith(("redis://", "rediss://")):
        # Seconds. Without these limits a worker waits for a hanging server until it is back.
        return url, {"socket_connect_timeout": 4, "socket_timeout": 10}
    if not url.startswith("filesystem://"):
        return url, {}
    # A folder for each source: services of two sources may share STATE_DIR, and neither must take
    # the other's messages.
    folder = state / ("broker" if source == "tradingview" else f"broker-{source}")
    folder.mkdir(parents=True, exist_ok=True)
    # Seconds. Kombu's default of 1 would take longer than a small fetch.
    return "filesystem://", {"data_folder_in": str(folder), "polling_interval": 0.02}
