"""Dump of the catalog's database for a backup: a copy of the SQLite file, or a dump of PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from django.db import connection

from datasets.errors import BackupFailed

_SQLITE, _DUMP = "catalog.sqlite3", "catalog.dump"


def sqlite_path() -> Path | None:
    """Return the catalog's file with SQLite; None with PostgreSQL."""
    if connection.vendor != "sqlite":
        return None
    return Path(str(connection.settings_dict["NAME"]))


def dump(folder: Path) -> list[str]:
    """Write the catalog as it is at one instant to a file in `folder`; return the operator's next steps.

    Raises `BackupFailed` and `OSError`.
    """
    if connection.vendor == "sqlite":
        target = folder / _SQLITE
        target.touch(mode=0o600)
        with connection.cursor() as cursor:
            # Copies a snapshot: other processes may write meanwhile.
            cursor.execute("VACUUM INTO %s", [str(target)])
        return []
    target = folder / _DUMP
    target.touch(mode=0o600)
    if _run("pg_dump", "--format=custom", f"--file={target}"):
        return []
    target.unlink()
    return [
        "The catalog is not in the backup, because pg_dump is not installed here. Run `pg_dump --format=custom` on a "
        "machine with pg_dump, and keep its file with the backup."
    ]


def load(folder: Path) -> list[str]:
    """Replace the catalog by the file that `dump` wrote to `folder`; return the operator's next steps.

    Raises `BackupFailed` and `OSError`.
    """
    database = sqlite_path()
    if database is not None and (folder / _SQLITE).exists():
        shutil.copyfile(folder / _SQLITE, database)
        database.chmod(0o600)
        return []
    arguments = ("--clean", "--if-exists", "--no-owner", str(folder / _DUMP))
    if database is None and (folder / _DUMP).exists() and _run("pg_restore", *arguments):
        return []
    return [
        "The backup contains no catalog for this database. The catalog was rebuilt from the "
        "files, without pins, API tokens and accounts."
    ]


def _run(program: str, *arguments: str) -> bool:
    """Run a PostgreSQL program on the catalog's database; return False if it is not installed."""
    found = shutil.which(program)
    if found is None:
        return False
    given = connection.settings_dict
    # In the environment: every user of the machine can read command lines, and the password.
    names = {"PGHOST": "HOST", "PGPORT": "PORT", "PGUSER": "USER", "PGPASSWORD": "PASSWORD"}
    env = os.environ | {name: str(given[ours]) for name, ours in names.items() if given[ours]}
    done = subprocess.run(
        [found, f"--dbname={given['NAME']}", *arguments], env=env, capture_output=True, text=True
    )
    if done.returncode:
        raise BackupFailed(f"{program} failed: {done.stderr.strip()}")
    return True
