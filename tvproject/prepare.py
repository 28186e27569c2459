"""Make everything ready that the web server and the workers expect to find.

`python -m tvproject.prepare`: settings checked, tables as the code wants them, an admin
user, static files collected. What is done already is not done again.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import secrets
import sys
from pathlib import Path

import django
from django.conf import settings
from django.core import checks
from django.core.management import call_command
from django.db.utils import OperationalError

from tvproject.env import SettingsError

_ADMIN = "admin"


def main() -> None:
    """Prepare all; what stands in the way is one sentence and a non-zero exit."""
    parser = argparse.ArgumentParser(prog="python -m tvproject.prepare", description=__doc__)
    parser.add_argument(
        "--cancel-fetches-of",
        metavar="SOURCE",
        help="cancel the fetches of a source that no service serves any more",
    )
    arguments = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tvproject.settings")
    try:
        django.setup()
        check_project()
        call_command("migrate", interactive=False, verbosity=0)
    except SettingsError as error:
        sys.exit(str(error))
    except OperationalError as error:
        sys.exit(f"DATABASE_URL: the database does not answer: {error}".rstrip())
    make_admin()
    collect_static()
    if arguments.cancel_fetches_of:
        cancel_fetches(arguments.cancel_fetches_of)


def cancel_fetches(source: str) -> None:
    """Cancel what is queued or was running for a source, and say how many fetches that were."""
    from datasets import fetch_queue

    number = fetch_queue.cancel_all(source)
    if number:
        word = "fetch was" if number == 1 else "fetches were"
        print(f"{number} {word} of the source {source} and cancelled.", flush=True)


def check_project() -> None:
    """Refuse to start with what Django's system checks call an error."""
    wrong = [message for message in checks.run_checks() if message.is_serious()]
    if wrong:
        sys.exit("\n".join(f"{message.msg} {message.hint or ''}".rstrip() for message in wrong))


def make_admin() -> None:
    """Create the admin user on the first start, and show a password that we made up."""
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
    """Copy and compress the static files where one of them has changed."""
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
