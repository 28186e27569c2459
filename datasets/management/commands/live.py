"""`manage.py live`: hold the live connection to TradingView, for all series that are watched."""

from __future__ import annotations

import signal
import threading
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from datasets.live.live_follower import follow_watched


class Command(BaseCommand):
    help = (
        "Receive live bars of the series that clients watch, over one connection to TradingView, until "
        "SIGTERM or Ctrl-C. Any number of hosts may run it: one of them holds the connection, the others wait."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.set_defaults(is_stopping=threading.Event())

    def handle(self, *args: Any, **options: Any) -> None:
        if not settings.TV_LIVE:
            raise CommandError(
                "Live bars are off (TV_LIVE=0), so no process may connect for them. Set TV_LIVE=1 for this "
                "process and for the web servers."
            )
        is_stopping: threading.Event = options["is_stopping"]
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: is_stopping.set())
        follow_watched(is_stopping)
