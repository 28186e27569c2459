"""The command `tvdatasets`: lists datasets, writes bars to a file, lists missing bars, and serves assistants."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from datasets.assistant import __main__ as assistant
from datasets.errors import DatasetsError
from datasets.research import catalog, gaps, load


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status: 0, or 1 after an error, whose message is on stderr."""
    arguments = _parser().parse_args(words)
    names = ("url", "token", "folder", "source")
    place = {name: getattr(arguments, name, None) for name in names}
    try:
        text = arguments.run(arguments, place)
    except DatasetsError as error:
        sys.stderr.write(f"tvdatasets: {error}\n")
        return 1
    sys.stdout.write(text)
    return 0


def _catalog(arguments: argparse.Namespace, place: dict[str, Any]) -> str:
    return _csv(catalog(**place))


def _get(arguments: argparse.Namespace, place: dict[str, Any]) -> str:
    bars = load(arguments.symbol, arguments.timeframe, n_bars=arguments.n_bars, **place)
    path: Path | None = arguments.output
    if path is None:
        return _csv(bars.reset_index())
    if path.suffix == ".parquet":
        bars.to_parquet(path)
    else:
        path.write_text(_csv(bars.reset_index()))
    return f"{len(bars)} bars in {path}\n"


def _gaps(arguments: argparse.Namespace, place: dict[str, Any]) -> str:
    bars = load(arguments.symbol, arguments.timeframe, n_bars=arguments.n_bars, **place)
    return _csv(gaps(bars))


def _mcp(arguments: argparse.Namespace, place: dict[str, Any]) -> str:
    assistant.run(arguments)
    return ""


def _csv(frame: pd.DataFrame) -> str:
    return str(frame.to_csv(index=False))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tvdatasets", description=__doc__)
    place = argparse.ArgumentParser(add_help=False)
    place.add_argument("--url", help="a service elsewhere; without it the files of this machine")
    place.add_argument(
        "--token", default=os.environ.get("TV_TOKEN"), help="its API token (the variable TV_TOKEN)"
    )
    place.add_argument(
        "--folder", help="the outputs folder (the variable OUTPUTS_URL, else outputs/)"
    )
    place.add_argument("--source", help="tradingview, sample or imported")
    series = argparse.ArgumentParser(add_help=False, parents=[place])
    series.add_argument("symbol", help="such as NASDAQ:AAPL")
    series.add_argument("timeframe", nargs="?", default="1h", help="such as 1D (%(default)s)")
    series.add_argument("-n", "--n-bars", type=int, help="the newest bars only")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser(
        "catalog", parents=[place], help="one line of CSV for each dataset"
    )
    listing.set_defaults(run=_catalog)
    getting = commands.add_parser("get", parents=[series], help="the bars, as CSV or in a file")
    getting.add_argument("-o", "--output", type=Path, help="a file that ends with .csv or .parquet")
    getting.set_defaults(run=_get)
    missing = commands.add_parser("gaps", parents=[series], help="times at which bars are missing")
    missing.set_defaults(run=_gaps)
    serving = commands.add_parser("mcp", help="a server for assistants, over standard input and output")  # fmt: skip
    assistant.add_arguments(serving)
    serving.set_defaults(run=_mcp)
    return parser
