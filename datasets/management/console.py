"""Where the commands print their tables."""

from __future__ import annotations

import sys

from rich.console import Console

# Of a file or a pipe, which have no width: no line of a table is longer.
_WIDE = 300


def open_console() -> Console:
    """Return a console as wide as the terminal, and wide enough for a whole line elsewhere."""
    return Console(width=None if sys.stdout.isatty() else _WIDE)
