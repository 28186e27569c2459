"""Requests for an import, as a command or a form gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from datasets.bars import IMPORTED, DatasetKey
from datasets.bars.series_keys import SeriesKey
from datasets.errors import InvalidRequest
from datasets.importing.file_bars import read_file
from datasets.importing.imports import ImportReport, import_bars
from datasets.models import database


@dataclass(frozen=True, slots=True)
class ImportRequest:
    """A file to import and its series, as texts.

    `name` is the file's name for messages, empty for that of `path`. `columns` are the file's
    own names of columns, by `BAR_COLUMNS`.
    """

    path: Path
    symbol: str
    timeframe: str
    session: str = "regular"
    adjustment: str = "splits"
    time_zone: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    name: str = ""


def run_import(
    request: ImportRequest, *, dry_run: bool = False, by: str = "", via: str = "command"
) -> ImportReport:
    """Check the file and merge its bars; errors as for `read_file` and `import_bars`."""
    key = DatasetKey.parse(
        source=IMPORTED, symbol=request.symbol, timeframe=request.timeframe, n_bars=1,
        session=request.session, adjustment=request.adjustment,
    )  # fmt: skip
    try:
        zone = ZoneInfo(request.time_zone) if request.time_zone else None
    except (ValueError, OSError, ZoneInfoNotFoundError) as error:
        sentence = f"{request.time_zone!r} is no time zone, such as UTC or America/New_York."
        raise InvalidRequest({"time_zone": [sentence]}) from error
    series = SeriesKey.of(key)
    fetched = read_file(
        request.path,
        series,
        now=database.shared_now(),
        name=request.name,
        zone=zone,
        named_columns=request.columns,
    )
    return import_bars(series, fetched, dry_run=dry_run, by=by, via=via)
