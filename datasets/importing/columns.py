"""Columns of a file of bars, found by their usual names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from datasets.bars import BAR_COLUMNS
from datasets.errors import InvalidRequest

# Spellings in lower case, without white space, `<`, `>`, `_`, `.` and `-`; the first match wins.
USUAL_NAMES = {
    "time": ("time", "datetime", "timestamp", "opentime", "date", "ts", "gmttime", "localtime"),
    "open": ("open", "openprice", "o"),
    "high": ("high", "highprice", "max", "h"),
    "low": ("low", "lowprice", "min", "l"),
    "close": ("close", "closeprice", "last", "price", "c"),
    "volume": ("volume", "vol", "tickvol", "tickvolume", "basevolume", "v"),
}
# Two columns that are one instant together, as MetaTrader and Stooq write them.
_DAY_AND_TIME = ("date", "time")
_IGNORED = str.maketrans("", "", " <>_.-")


def find_columns(headers: Sequence[str], named: Mapping[str, str]) -> dict[str, list[int]]:
    """Return the places of each bar column among the headers.

    Parameters
    ----------
    headers
        The names in the file.
    named
        Names that the caller gave: a column of `BAR_COLUMNS`, and the file's name for it. The
        others are found by `USUAL_NAMES`.

    Returns
    -------
    dict
        `time` has one place, or two: a column of dates and one of times. `volume` is absent
        where the file has none.

    Raises
    ------
    InvalidRequest
        A column is missing, or a name stands twice in the file.
    """
    plain = [header.lower().translate(_IGNORED) for header in headers]
    found: dict[str, list[int]] = {}
    for column in BAR_COLUMNS:
        if column in named:
            places = [place for place, header in enumerate(headers) if header == named[column]]
            missing = f"There is no column {named[column]!r}"
        elif column == "time" and all(plain.count(name) == 1 for name in _DAY_AND_TIME):
            found[column] = [plain.index(name) for name in _DAY_AND_TIME]
            continue
        else:
            usual = next((name for name in USUAL_NAMES[column] if name in plain), None)
            places = [place for place, header in enumerate(plain) if header == usual]
            missing = f"There is no column of the {column}, such as {USUAL_NAMES[column][0]!r}"
        if len(places) > 1:
            raise _wrong(
                f"The file has {headers[places[0]]!r} twice; give each column its own name."
            )
        if places:
            found[column] = places
        elif column != "volume" or column in named:
            there = ", ".join(map(repr, headers[:20]))
            raise _wrong(f"{missing}. The file's first line has {there}; name the column.")
    return found


def read_names(texts: Iterable[str]) -> dict[str, str]:
    """Return the file's names of columns from texts such as `volume=Vol.`; empty texts are left out.

    Raises `InvalidRequest` for any other text.
    """
    named = {}
    for text in filter(None, map(str.strip, texts)):
        column, _, name = text.partition("=")
        if column not in BAR_COLUMNS or not name:
            allowed = ", ".join(BAR_COLUMNS)
            raise _wrong(
                f"{text!r} names no column; write such as volume=Vol., with one of {allowed}."
            )
        named[column] = name
    return named


def _wrong(sentence: str) -> InvalidRequest:
    return InvalidRequest({"columns": [sentence]})
