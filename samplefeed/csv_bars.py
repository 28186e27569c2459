"""Reader of bars in a CSV file; its errors name the line."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from pathlib import Path

COLUMNS = ("time", "open", "high", "low", "close", "volume")


def read_bars(path: Path) -> list[list[float]]:
    """Return the rows of `time,open,high,low,close,volume`, six numbers each.

    Five numbers each if all volumes are empty or the column is missing. Raises `ValueError` for
    any other line.
    """
    rows: list[list[float]] = []
    with path.open(newline="", encoding="utf-8-sig") as file:
        for number, line in _lines(path, file):
            # Only the volume may be empty.
            texts = line[:-1] if len(line) == len(COLUMNS) and not line[-1].strip() else line
            named = zip(COLUMNS, texts, strict=False)
            row = [_number(path, number, name, text) for name, text in named]
            if rows and len(row) != len(rows[0]):
                raise _refused(path, number, "volume is given on some lines and not on others")
            if rows and row[0] <= rows[-1][0]:
                raise _refused(
                    path, number, f"time {line[0]} is not later than the time of the bar before it"
                )
            rows.append(row)
    return rows


def _lines(path: Path, file: Iterator[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield the number and the texts of each line after the header; skip empty lines."""
    reader = csv.reader(file, strict=True)
    try:
        header = tuple(name.strip().lower() for name in next(reader, []))
        if header not in (COLUMNS, COLUMNS[:-1]):
            raise _refused(path, 1, f"the first line must be {','.join(COLUMNS)}")
        for line in filter(None, reader):
            if len(line) != len(header):
                reason = f"there are {len(line)} columns and not {len(header)}"
                raise _refused(path, reader.line_num, reason)
            yield reader.line_num, line
    except (csv.Error, UnicodeDecodeError) as error:
        raise _refused(path, reader.line_num, f"this is no text of a CSV ({error})") from error


def _number(path: Path, line: int, name: str, text: str) -> float:
    if not text.strip():
        raise _refused(path, line, f"the column {name} is empty; only volume may be")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _refused(path, line, f"{name} is {text!r}, which is no number")
    return value


def _refused(path: Path, line: int, reason: str) -> ValueError:
    return ValueError(f"{path}, line {line}: {reason}.")
