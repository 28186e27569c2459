"""Paths below the archive folder: the folder of a series, and the names of the files in it."""

from __future__ import annotations

from datetime import datetime

from datasets.bars import Adjustment, Session, Timeframe, check_source, is_exchange
from datasets.bars.series_keys import SeriesKey
from datasets.errors import InvalidRequest
from datasets.storage.paths import MAX_NAME_BYTES, SUFFIX, symbol_spellings

# `_` keeps these folders out of the readers that take a folder for a table.
REVISIONS = "_revisions"
GENERATIONS = "_generations"
STAGED = "_next"


def relative_folder(key: SeriesKey) -> str:
    """Return the series' folder below the archive, such as `sample/BINANCE_BTCUSDT_1h`.

    The rules for characters and lengths are those of `paths.relative_path`. Raises
    `InvalidRequest` for an impossible source or exchange.
    """
    check_source(key.source)
    if key.exchange and not is_exchange(key.exchange):
        raise InvalidRequest({"exchange": [f"{key.exchange!r} is no exchange, such as BINANCE."]})
    after = [key.timeframe.value]
    if key.session is not Session.REGULAR:
        after.append(key.session.value)
    if key.adjustment is not Adjustment.SPLITS:
        after.append(key.adjustment.value)
    whole, short = (
        "_".join([key.exchange, symbol, *after]) for symbol in symbol_spellings(key.symbol)
    )
    return f"{key.source}/{whole if len(whole) <= MAX_NAME_BYTES else short}"


def file_name(opened_at: datetime, timeframe: Timeframe) -> str:
    """Return the name of the file that holds the bar: its year in UTC, or `all` from a day on."""
    name = f"{opened_at.year:04}" if timeframe.is_intraday else "all"
    return name + SUFFIX
