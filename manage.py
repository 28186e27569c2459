#!/usr/bin/env python
"""Django's command line."""

import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Commands that fetch, or plan fetches, for the service that runs on the folder.
FETCHING = ("fetch", "watch", "backfill")


def take_feed_of_running_service() -> None:
    """Set `TV_SOURCE` and the feed's addresses to those of the running service, unless set."""
    from tvproject.announcements import running_feeds
    from tvproject.env import read_settings
    from tvproject.output_places import places

    base_dir = Path(__file__).resolve().parent
    settings = read_settings(base_dir)
    if os.environ.get("TV_SOURCE", "").strip() in ("", "auto"):
        feeds = running_feeds(places(settings, base_dir).state)
        if len(feeds) == 1:
            (source, variables) = feeds.popitem()
            os.environ.update({**variables, "TV_SOURCE": source})


@contextmanager
def quiet_without_reader() -> Iterator[None]:
    """Exit without a traceback when the reader of our output has ended, as `head` does early."""
    try:
        try:
            yield
        finally:
            # Flush here: at the interpreter's end a broken pipe would print an error.
            sys.stdout.flush()
    except BrokenPipeError:
        output = select.poll()
        output.register(sys.stdout, 0)
        if not any(event & select.POLLERR for _, event in output.poll(0)):
            # Another pipe broke, not the one to our reader.
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        # The status that a shell reports for a program ended by SIGPIPE.
        sys.exit(128 + signal.SIGPIPE)


@contextmanager
def outages_in_one_sentence() -> Iterator[None]:
    """Exit with one sentence when the database, the cache or a disk is away."""
    from datasets.errors import Unavailable
    from datasets.outages import named_outages

    try:
        with named_outages():
            yield
    except Unavailable as error:
        sys.exit(f"{error.code}: {error}")


def main() -> None:
    """Run one management command; a wrong setting prints one sentence, no traceback."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tvproject.settings")
    from django.conf import settings
    from django.core.management import execute_from_command_line

    from tvproject.env import SettingsError

    try:
        if sys.argv[1:2] and sys.argv[1] in FETCHING:
            take_feed_of_running_service()
        settings.DEBUG  # noqa: B018 - loads the settings
    except SettingsError as error:
        sys.exit(str(error))
    with quiet_without_reader(), outages_in_one_sentence():
        execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
