#!/usr/bin/env python
"""Django's command line."""

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def take_source_of_running_service() -> None:
    """Fetch from the source of the service that runs on this folder, unless `TV_SOURCE` names one."""
    from tvproject.announcements import running_sources
    from tvproject.env import folders, read_settings

    base_dir = Path(__file__).resolve().parent
    settings = read_settings(base_dir)
    if os.environ.get("TV_SOURCE", "").strip() in ("", "auto"):
        sources = running_sources(folders(settings, base_dir).state)
        if len(sources) == 1:
            os.environ["TV_SOURCE"] = sources.pop()


@contextmanager
def quiet_when_nobody_reads() -> Iterator[None]:
    """End without a traceback when the reader of our output has gone, as `head` does when it has enough."""
    try:
        try:
            yield
        finally:
            # Here, and not at the interpreter's end, which would complain.
            sys.stdout.flush()
    except BrokenPipeError:
        if not _has_no_reader(sys.stdout.fileno()):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # As a shell counts a program that was ended by SIGPIPE.
        sys.exit(128 + signal.SIGPIPE)


@contextmanager
def outages_in_one_sentence() -> Iterator[None]:
    """End with one sentence where the database, the cache or a disk is away."""
    from datasets.errors import Unavailable
    from datasets.outages import named_outages

    try:
        with named_outages():
            yield
    except Unavailable as error:
        sys.exit(f"{error.code}: {error}")


def _has_no_reader(pipe: int) -> bool:
    poll = select.poll()
    poll.register(pipe, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def main() -> None:
    """Run one management command; a wrong setting is one sentence, not a traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tvproject.settings")
    from django.conf import settings
    from django.core.management import execute_from_command_line

    from tvproject.env import SettingsError

    try:
        if sys.argv[1:2] == ["fetch"]:
            take_source_of_running_service()
        settings.DEBUG  # noqa: B018 - loads the settings
    except SettingsError as error:
        sys.exit(str(error))
    with quiet_when_nobody_reads(), outages_in_one_sentence():
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
