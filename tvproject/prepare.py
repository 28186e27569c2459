"""Prepare the database and the files for the web server and the workers.

`python -m tvproject.prepare` checks the settings, migrates the tables, creates an admin user
and collects the static files. Steps that are already done are skipped.
"""

from __future__ import annotations

import argparse
import fcntl
import hashlib
import os
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import StringIO
from pathlib import Path

import django
from django.conf import settings
from django.core import checks
from django.core.management import call_command
from django.db import DEFAULT_DB_ALIAS, Error, OperationalError, connection, connections

from tvproject import postgresql
from tvproject.env import SettingsError

_ADMIN = "admin"
# An arbitrary number for the advisory lock; no other program may use the same.
_LOCK = 7_406_218_593


def main() -> None:
    """Run all steps; a failure prints one sentence and exits with a non-zero status."""
    parser = argparse.ArgumentParser(prog="python -m tvproject.prepare", description=__doc__)
    parser.add_argument(
        "--cancel-fetches-of",
        metavar="SOURCE",
        help="cancel the fetches of a source that no service uses any more",
    )
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tvproject.settings")
    try:
        django.setup()
    except SettingsError as error:
        sys.exit(str(error))
    check_project()
    # Of two services that start together, one prepares and the other waits for it.
    with alone_on_this_folder(), alone_on_this_database():
        migrate()
        make_admin()
        collect_static()
        if arguments.cancel_fetches_of:
            cancel_fetches(arguments.cancel_fetches_of)


@contextmanager
def alone_on_this_folder() -> Iterator[None]:
    """Wait until no other process prepares the same state folder."""
    with (Path(settings.STATE_DIR) / "prepare.lock").open("ab") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Waiting for another service that prepares the same folder.", flush=True)
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def alone_on_this_database() -> Iterator[None]:
    """Wait until no other host prepares the same PostgreSQL database; exit when it does not answer."""
    # The lock has a connection and a transaction of its own: behind PgBouncer the statements of
    # a session can go to different connections, and a lock of a session would never be released.
    lock = connections.create_connection(DEFAULT_DB_ALIAS)
    try:
        connection.ensure_connection()
        if connection.vendor == "postgresql":
            # No time limits: migrations, also the other host's, may take long.
            postgresql.BoundedConnection.reply_s = None
            if settings.ENV["DATABASE_POOLING"] == "none":
                with connection.cursor() as cursor:
                    cursor.execute("SET statement_timeout = 0")
            lock.set_autocommit(False)
            with lock.cursor() as cursor:
                cursor.execute("SET LOCAL statement_timeout = 0")
                cursor.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
    except OperationalError as error:
        sys.exit(f"DATABASE_URL: the database does not answer: {error}".rstrip())
    try:
        yield
    finally:
        # Ends the transaction, and so the lock.
        with suppress(Error):
            lock.close()


def migrate() -> None:
    """Migrate the tables to this version; exit with the name of a migration that failed."""
    output = StringIO()
    try:
        call_command("migrate", interactive=False, verbosity=1, no_color=True, stdout=output)
    except Error as error:
        steps = [line for line in output.getvalue().splitlines() if "Applying" in line]
        step = (
            steps[-1].strip().removeprefix("Applying ").rstrip(". ") if steps else "the first step"
        )
        sys.exit(
            f"The database could not be brought to this version: {step} failed: {str(error).strip()}. "
            "That step was undone. Repair the cause that the message names, then start again."
        )


def cancel_fetches(source: str) -> None:
    """Cancel the queued and running fetches of a source, and print their number."""
    from datasets.fetching import fetch_queue

    number = fetch_queue.cancel_all(source)
    if number:
        word = "fetch was" if number == 1 else "fetches were"
        print(f"{number} {word} of the source {source} and cancelled.", flush=True)


def check_project() -> None:
    """Exit when Django's system checks find an error."""
    wrong = [message for message in checks.run_checks() if message.is_serious()]
    if wrong:
        sys.exit("\n".join(f"{message.msg} {message.hint or ''}".rstrip() for message in wrong))


def make_admin() -> None:
    """Create the admin user on the first start, and print a generated password."""
    from django.contrib.auth.models import User
    from django.db.models import Q

    if User.objects.filter(Q(is_superuser=True) | Q(username=_ADMIN)).exists():
        return
    password = settings.ENV["ADMIN_PASSWORD"] or secrets.token_urlsafe(12)
    User.objects.create_superuser(_ADMIN, password=password)
    shown = "as in ADMIN_PASSWORD" if settings.ENV["ADMIN_PASSWORD"] else f"{password} (shown once)"
    print(f"Admin user created: login {_ADMIN}, password {shown}.", flush=True)
    print(f"Another password: python manage.py changepassword {_ADMIN}", flush=True)


def collect_static() -> None:
    """Copy and compress the static files when one of them has changed."""
    stamp = Path(settings.STATIC_ROOT) / ".collected"
    fingerprint = _fingerprint()
    if not stamp.exists() or stamp.read_text() != fingerprint:
        call_command(
            "collectstatic",
            interactive=False,
            clear=True,
            verbosity=0,
            # Builds of the chart library that no page uses.
            ignore_patterns=["*.development.*", "*.d.ts"],
        )
        stamp.write_text(fingerprint)


def _fingerprint() -> str:
    from django.contrib.staticfiles.finders import get_finders

    digest = hashlib.sha256()
    for finder in get_finders():
        for path, storage in finder.list([]):
            stat = Path(storage.path(path)).stat()
            digest.update(f"{storage.path(path)} {stat.st_size} {stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()


if __name__ == "__main__":
    main()
