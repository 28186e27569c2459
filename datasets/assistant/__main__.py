"""`python -m datasets.assistant --url http://127.0.0.1:8000`: the server for assistants."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from datasets.errors import InvalidRequest


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m datasets.assistant", description=__doc__)
    add_arguments(parser)
    try:
        run(parser.parse_args(arguments))
    except InvalidRequest as error:
        parser.error(str(error))


def run(options: argparse.Namespace) -> None:
    """Serve until the input ends; without the package `mcp`, exit with a sentence that names it."""
    try:
        from datasets.assistant.assistant_server import serve
    except ModuleNotFoundError as error:
        sys.exit(f"{error.name} is not installed; the server needs it: pip install mcp==2.3.0")
    serve(options.url, options.token, allow_fetch=options.allow_fetch)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the server; the environment gives their defaults."""
    parser.add_argument(
        "--url",
        default=os.environ.get("TV_URL") or "http://127.0.0.1:8000",
        help="the service; else TV_URL, else http://127.0.0.1:8000",
    )
    parser.add_argument(
        "--token",
        default=os.environ.get("TV_TOKEN") or None,
        help="an API token; better in TV_TOKEN, because other users see arguments",
    )
    parser.add_argument(
        "--allow-fetch", action="store_true", help="offer the tool that has the service fetch"
    )


if __name__ == "__main__":
    main()
