"""Health checks: database, tables, outputs folder, cache, broker, worker and live connection."""

from __future__ import annotations

import os
from functools import cache as remember
from pathlib import Path

from django.conf import settings
from django.core.cache import cache
from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from kombu import Connection

from datasets.catalog import outputs
from datasets.errors import StoreFailed, StoreUnavailable
from datasets.fetching import workers
from datasets.incidents import is_worker_seen
from datasets.models import LiveConnection, database

# All checks run in parallel and share this time limit.
LIMIT_S = 1.5
# Device and number of each database file at this process's first check.
_first_identities: dict[Path, tuple[int, int]] = {}


class Problem(Exception):
    """A check failed; the message is a sentence for the operator."""


def check_database() -> None:
    """Raise `Problem` when SQLite's file has changed; a database error when a query fails.

    SQLite creates a missing file, so an empty catalog would pass the query. The file must be the
    one that this process saw at its first check.
    """
    if connection.vendor == "sqlite":
        path = Path(str(connection.settings_dict["NAME"]))
        try:
            status = path.stat()
        except FileNotFoundError:
            raise Problem(
                f"The database's file {path.name} is gone. Stop the service, put the file back, then start it again."
            ) from None
        identity = (status.st_dev, status.st_ino)
        if _first_identities.setdefault(path, identity) != identity:
            raise Problem(
                f"The database's file {path.name} has been replaced while the service was running. Start the service again."
            )
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def check_tables() -> None:
    """Raise `Problem` when migrations are missing."""
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


def check_worker() -> None:
    """Raise `Problem` when no worker of the source has been seen lately."""
    if not is_worker_seen(settings.TV_SOURCE):
        raise Problem(workers.NONE_SEEN)


def check_live() -> None:
    """Raise `Problem` when live bars are on and no process has held the connection for a while."""
    if not (settings.TV_LIVE and settings.TV_ENABLED):
        return
    # After the end of a lease another host takes over within seconds.
    long_ago = database.now() - workers.LOST_AFTER
    holders = LiveConnection.objects.filter(source=settings.TV_SOURCE, lease_until__gt=long_ago)
    if not holders.exists():
        raise Problem(
            f"No process has held the live connection for {workers.LOST_AFTER.total_seconds():.0f} s, so no live bars "
            "come. Start `manage.py live`, or set TV_LIVE=0."
        )


def check_broker() -> None:
    """Raise `Problem` or the library's error when the broker cannot be used."""
    url = settings.CELERY_BROKER_URL
    if url.startswith("filesystem:"):
        _require_folder(
            Path(settings.CELERY_BROKER_TRANSPORT_OPTIONS["data_folder_in"]), "The broker's folder"
        )
        return
    options = {"socket_connect_timeout": LIMIT_S, "socket_timeout": LIMIT_S}
    with Connection(
        url, connect_timeout=LIMIT_S, transport_options=options if url.startswith("redis") else {}
    ) as broker:
        broker.connect()
        # `connect` alone sends nothing to Redis.
        broker.channel()


def check_cache() -> None:
    """Raise the cache's error when it cannot be written."""
    cache.set("health", "ok", timeout=60)


def check_outputs() -> None:
    """Raise `Problem` when the bucket, or the outputs folder, or the disk of datasets or archives below it, is not there."""
    if settings.OUTPUTS_BUCKET is None:
        _require_folder(settings.OUTPUTS_DIR, "The outputs folder")
    try:
        outputs.require_folder(settings.TV_SOURCE)
    except (StoreFailed, StoreUnavailable) as error:
        raise Problem(str(error)) from error


def _require_folder(folder: Path, name: str) -> None:
    if not folder.is_dir():
        raise Problem(f"{name} is not there.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise Problem(f"{name} cannot be written to.")
