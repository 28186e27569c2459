"""Tables and argument types shared by the commands."""

from __future__ import annotations

import re
import sys
from argparse import ArgumentTypeError
from datetime import timedelta

from rich.console import Console

from datasets.models import database

# The width for files and pipes, which have none: wide enough for every line of a table.
_WIDE = 300
_UNITS = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def open_console() -> Console:
    """Return a console with the terminal's width; 300 columns for files and pipes."""
    return Console(width=None if sys.stdout.isatty() else _WIDE)


def whole_number(text: str) -> int:
    """Return the number written in the digits 0 to 9, for argparse.

    `int` would accept `1_000` and the digits of other scripts too.
    """
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise ArgumentTypeError(f"{text!r} is not a number; write 0 or more in the digits 0 to 9")
    return int(text)


def read_age(text: str) -> timedelta:
    """Return the age that `90d`, `12h`, `30m` or `8w` means, for argparse."""
    match = re.fullmatch(r"([0-9]{1,18})([mhdw])", text)
    if match is None:
        raise ArgumentTypeError(f"{text!r} is not an age; write 90d, 12h, 30m or 8w")
    try:
        age = timedelta(**{_UNITS[match[2]]: int(match[1])})
        database.shared_now() - age
    except OverflowError as error:
        raise ArgumentTypeError(f"{text!r} is longer ago than the calendar goes back") from error
    return age
