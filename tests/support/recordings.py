"""Recorded replies of TradingView, in a folder beside the project; they are not part of it."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[3] / "shared" / "captures"
CASES = FOLDER.parent / "cases"


def recording(name: str) -> Path:
    """Return the path of a recording; skip the test if it is missing."""
    path = FOLDER / name
    if not path.exists():
        pytest.skip(f"the recording {name} is not on this machine")
    return path


def case(name: str) -> Path:
    """Return the path of an input built from a public report; skip the test if it is missing."""
    path = CASES / name
    if not path.exists():
        pytest.skip(f"the case {name} is not on this machine")
    return path


def messages_of_list(name: str) -> list[bytes]:
    """Return WebSocket messages exactly as received."""
    return [message.encode() for message in json.loads(recording(name).read_text())]


def spread_payloads(name: str) -> list[dict[str, Any]]:
    """Return the messages of a recording with delimiters spread over lines."""
    parts = re.split(r"~m~\s*\d+\s*~m~", recording(name).read_text())
    found = []
    for part in parts:
        start, end = part.find("{"), part.rfind("}")
        try:
            found.append(json.loads(part[start : end + 1]))
        except ValueError:
            # Two small frames lost characters when they were copied from a terminal.
            continue
    return found


def csv_rows(name: str) -> list[list[float | None]]:
    """Return time (UNIX seconds), prices and volume of each row."""
    with recording(f"ohlcv/{name}").open() as file:
        rows = list(csv.reader(file))[1:]
    return [[float(text) if text else None for text in row] for row in rows]
