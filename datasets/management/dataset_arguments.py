"""The actions of `manage.py datasets` and their arguments."""

from __future__ import annotations

import re
from argparse import ArgumentParser, ArgumentTypeError
from pathlib import Path

from datasets.bars import Timeframe, ascii_upper
from datasets.errors import InvalidRequest
from datasets.formats import file_formats
from datasets.management.console import read_age, whole_number
from datasets.models import Dataset

# The layouts of `export --layout` that are data folders of engines.
ENGINE_LAYOUTS = ("lean", "freqtrade", "qlib")

ACTIONS = {
    "list": "List the datasets.",
    "show": "Show all columns of some datasets.",
    "verify": "Read files to their end and compare them with their hashes; exit status 1 if one is wrong.",
    "rebuild": "Rebuild the catalog from the metadata in the files, and mark missing files.",
    "gaps": "List missing bars, and how that is known; exit status 1 if one should be there.",
    "archive": "Merge datasets of versions before 0.4 into the archives of their series, oldest fetch first.",
    "prune": "Delete datasets by age, use, number or total size; never a pinned one.",
    "invalidate": "Invalidate datasets; the next request for one fetches it again.",
    "delete": "Delete datasets; their files go to trash/, where they stay until `manage.py tidy`.",
    "export": "Copy datasets as parquet, CSV or Arrow files.",
}
# Processes for a folder, threads for a bucket.
WORKERS, MOST_WORKERS = 4, 64
_SIZES = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12}


def add_action_arguments(parser: ArgumentParser, action: str) -> None:
    """Add the arguments of one action to its parser."""
    parser.add_argument("--json", action="store_true", help="print JSON for scripts")
    if action in ("list", "verify", "gaps", "export"):
        add_names(parser, nargs="*", text="the datasets; all when none is named")
        parser.add_argument("--state", choices=Dataset.State.values, help="only in this state")
    elif action in ("show", "invalidate", "delete"):
        add_names(parser, nargs="+", text="the datasets")
    if action in ("verify", "rebuild"):
        add_reading(parser, action)
    if action == "verify":
        parser.add_argument(
            "--lock",
            type=Path,
            metavar="FILE",
            help="compare the datasets in a study's lock file with the hashes in it",
        )
    elif action == "rebuild":
        parser.add_argument(
            "--accept-empty",
            action="store_true",
            help="the files were deleted on purpose: mark their datasets as missing though the folder is empty",
        )
    elif action == "prune":
        add_rules(parser)
    elif action == "export":
        parser.add_argument("--to", type=Path, required=True, metavar="FOLDER", help="target")
        parser.add_argument(
            "--format", choices=[row.name for row in file_formats()], default="parquet"
        )
        parser.add_argument(
            "--layout",
            choices=["files", "table", *ENGINE_LAYOUTS],
            default="files",
            help=(
                "files: one file a dataset; table: all bars of the archive, sorted by symbol, in few "
                "large parquet files; lean, freqtrade, qlib: the data folder of that engine"
            ),
        )


def add_reading(parser: ArgumentParser, action: str) -> None:
    """Add the arguments of an action that reads many files."""
    parser.add_argument(
        "--workers",
        type=number_of_workers,
        default=WORKERS,
        metavar="N",
        help=f"processes that read files, threads for a bucket: 1 to {MOST_WORKERS}; {WORKERS} without it",
    )
    if action == "rebuild":
        text = "go on after a stopped rebuild: read only files whose rows do not have their present version"
    else:
        text = "go on where a stopped `verify` of all datasets was"
    parser.add_argument("--resume", action="store_true", help=text)


def number_of_workers(text: str) -> int:
    """Return a number of workers from 1 to `MOST_WORKERS`, for argparse."""
    number = whole_number(text)
    if not 1 <= number <= MOST_WORKERS:
        raise ArgumentTypeError(f"{number} is not a number of workers; write 1 to {MOST_WORKERS}")
    return number


def add_names(parser: ArgumentParser, *, nargs: str, text: str) -> None:
    """Add the arguments that select datasets by id or symbol, and by timeframe."""
    parser.add_argument("names", nargs=nargs, metavar="ID|EXCHANGE:SYMBOL", help=text)
    parser.add_argument(
        "-t", "--timeframe", type=read_timeframe, metavar="TIMEFRAME", help="only of this timeframe"
    )


def add_rules(parser: ArgumentParser) -> None:
    """Add the rules of `prune`; see `choose_prunable`."""
    parser.add_argument(
        "--older-than",
        type=read_age,
        metavar="AGE",
        help="fetched longer ago than this, such as 90d",
    )
    parser.add_argument(
        "--unused-for",
        type=read_age,
        metavar="AGE",
        help="neither served nor fetched during this time",
    )
    parser.add_argument(
        "--keep-newest", type=whole_number, metavar="N", help="all but the N most recently fetched"
    )
    parser.add_argument(
        "--max-size",
        type=read_size,
        metavar="SIZE",
        help="the least recently used, until the rest have at most SIZE, such as 20G",
    )
    parser.add_argument("--dry-run", action="store_true", help="only print the datasets chosen")


def read_size(text: str) -> int:
    """Return the bytes that `500M` or `20G` means (powers of 1000), for argparse."""
    match = re.fullmatch(r"([0-9]{1,18}(?:\.[0-9]{1,9})?)([KMGT]?)B?", ascii_upper(text))
    if match is None:
        raise ArgumentTypeError(f"{text!r} is not a size; write 500M or 20G")
    return int(float(match[1]) * _SIZES[match[2]])


def read_timeframe(text: str) -> Timeframe:
    """Return the timeframe in any of its spellings, for argparse."""
    try:
        return Timeframe.parse(text)
    except InvalidRequest as error:
        raise ArgumentTypeError(str(error)) from error
