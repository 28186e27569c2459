"""`history`: all values that were ever received for one bar. `adjustments`: the table of splits, dividends and rolls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from datasets.bars import BAR_COLUMNS, Timeframe
from datasets.errors import BarNotFound, DatasetNotFound, InvalidRequest
from datasets.research.archives.archive_sources import Archive, FolderArchive
from datasets.research.archives.bar_origins import opened_archive
from datasets.research.arguments import Instant, Origin, parse_key, to_instant
from datasets.research.folders import find_place
from datasets.storage.archives.archive_files import from_ms, times_of
from datasets.storage.archives.archive_queries import read_range
from datasets.storage.archives.bar_values import read_values
from datasets.storage.archives.revision_records import RevisionState

_INSTANT = "datetime64[ms, UTC]"
_HISTORY = {
    "seen_at": _INSTANT, "until": _INSTANT, **dict.fromkeys(BAR_COLUMNS[1:], "float64"), "finding": "str",
    "revision": "int64", "generation": "int64", "was_given": "bool", "is_final": "bool", "is_rescaled": "bool",
}  # fmt: skip
_ADJUSTMENTS = {
    "timeframe": "str", "found_at": _INSTANT, "kind": "str", "factor": "float64", "offset": "float64",
    "volume_factor": "float64", "first_time": _INSTANT, "last_time": _INSTANT, "n_bars": "int64",
    "generation": "int64", "is_confirmed": "bool", "confirmed_at": _INSTANT, "revision": "int64",
}  # fmt: skip

# By the finding of the audit, and whether the volumes changed by the inverse of the prices.
_KINDS = {
    ("ratio", True): "split",
    ("ratio", False): "dividend",
    ("offset", False): "offset",
}


def history(
    symbol: str,
    timeframe: str = "1h",
    *,
    at: Instant,
    session: str = "regular",
    adjustment: str = "splits",
    source: str | None = None,
    folder: str | Path | None = None,
) -> pd.DataFrame:
    """Return all values that were ever received for one bar, by the time of their arrival.

    Parameters
    ----------
    symbol, timeframe, session, adjustment, source, folder
        The series, as for `load`; a timeframe that TradingView sends.
    at
        The bar's opening instant. UTC unless the value carries a time zone.

    Returns
    -------
    pd.DataFrame
        One row or more:

        seen_at     datetime64[ms, UTC]  when the values were received
        until       datetime64[ms, UTC]  until when the archive gave them; NaT for those given now
        open … volume  float64           NaN for a volume that the exchange does not give
        finding     str      class of the audit that ended them; empty for none
        revision    int64    number of that revision; 0 for none
        generation  int64    number of the basis of the prices
        was_given   bool     False for values that waited for a decision and were never given
        is_final    bool     False for a bar that was forming
        is_rescaled bool     True for values that were computed of older ones, after a split

    Raises
    ------
    DatasetNotFound
        Nothing of the series was archived.
    BarNotFound
        No fetch has brought a bar that opens at this instant.
    FileMissing, FileCorrupt
        A file of the archive was deleted or damaged.
    InvalidRequest
        An argument is wrong.
    """
    key = parse_key(source, symbol, timeframe, n_bars=None, session=session, adjustment=adjustment)
    at_ms = to_instant(at, "at")
    if at_ms is None:
        message = "None is no instant; name the bar's opening, such as '2025-01-31T14:30'."
        raise InvalidRequest({"at": [message]})
    archive = FolderArchive(find_place(folder, key.source), key)
    values = read_values(archive.folder, archive.document(), from_ms(at_ms))
    if not values:
        # The bar before the instant shows which openings there are.
        before = times_of(read_range(archive.folder, None, from_ms(at_ms), n_bars=1).rows)
        hint = f" The bar before it opens at {from_ms(int(before[0])).isoformat()}." if len(before) else ""  # fmt: skip
        raise BarNotFound(
            f"No fetch has brought a bar of {key.full_symbol} {key.timeframe.label} that opens at "
            f"{from_ms(at_ms).isoformat()}.{hint} `at` is a bar's opening, UTC."
        )
    rows = [
        (
            each.seen_at, each.until, *each.values, each.finding, each.revision, each.generation,
            each.until != each.seen_at, each.is_final, each.is_rescaled,
        )
        for each in values
    ]  # fmt: skip
    return _table(rows, _HISTORY)


def adjustments(
    symbol: str,
    timeframe: str | None = None,
    *,
    session: str = "regular",
    adjustment: str = "splits",
    source: str | None = None,
    folder: str | Path | None = None,
    url: str | None = None,
    token: str | tuple[str, str] | None = None,
) -> pd.DataFrame:
    """Return the splits, dividends and rolls that the audit of an instrument's fetches has found.

    Parameters
    ----------
    symbol, session, adjustment, source, folder, url, token
        The instrument, as for `load`.
    timeframe
        One timeframe that TradingView sends; None for all that were archived. Each series is
        audited on its own, so one split has a row for each timeframe.

    Returns
    -------
    pd.DataFrame
        A row for each step of the prices' basis, oldest first; no row where none was found:

        timeframe   str
        found_at    datetime64[ms, UTC]  the fetch that brought the new basis
        kind        str      `split` (volumes changed by the inverse), `dividend` (they did not),
                             `offset` (a constant difference, as of a roll)
        factor, offset, volume_factor  float64  new price = factor * old price + offset; new
                             volume = volume_factor * old volume
        first_time, last_time  datetime64[ms, UTC]  openings of the first and the last bar that
                             changed among those that were compared; all older bars changed too,
                             and no bar after `last_time`
        n_bars      int64    bars that were compared and changed
        generation  int64    the basis that began with it
        is_confirmed  bool   False while older bars wait for a second fetch or a person
        confirmed_at  datetime64[ms, UTC]  NaT where there was nothing to confirm yet
        revision    int64    its number among the series' revisions

    Raises
    ------
    DatasetNotFound
        Nothing of the instrument was archived.
    ServiceFailed
        The service did not answer.
    InvalidRequest
        An argument is wrong.
    """
    origin = Origin(source=source, folder=folder, url=url, token=token, fetch="never")
    first = parse_key(
        source,
        symbol,
        timeframe or Timeframe.DAY_1.value,
        n_bars=None,
        session=session,
        adjustment=adjustment,
    )
    lengths = list(Timeframe) if timeframe is None else [first.timeframe]
    rows: list[tuple[object, ...]] = []
    n_archives = 0
    for length in lengths:
        with opened_archive(replace(first, timeframe=length), origin) as archive:
            if archive.extent().n_rows:
                n_archives += 1
                rows += _steps(archive, length)
    if not n_archives:
        named = f" {first.timeframe.label}" if timeframe is not None else ""
        raise DatasetNotFound(
            f"Nothing of {first.full_symbol}{named} ({first.source}) was archived, so no fetches of it were compared. "
            "Fetch it first, or check exchange, session and adjustment."
        )
    table = _table(rows, _ADJUSTMENTS)
    return table.sort_values(["found_at", "revision"], kind="stable", ignore_index=True)


def _steps(archive: Archive, length: Timeframe) -> list[tuple[object, ...]]:
    """Return the rows of one series."""
    return [
        (
            length.value, record.found_at, _KINDS[record.finding, record.is_split], record.factor, record.offset,
            1 / record.factor if record.is_split else 1.0, record.first_time, record.last_time,
            record.n_bars, record.generation + 1, record.state is RevisionState.ACCEPTED,
            record.decided_at, record.number,
        )
        for record in archive.records()
        if (record.finding, record.is_split) in _KINDS
    ]  # fmt: skip


def _table(rows: Sequence[tuple[object, ...]], kinds: dict[str, str]) -> pd.DataFrame:
    """Return the rows as a frame with these columns and dtypes."""
    columns = zip(*rows, strict=True) if rows else ((),) * len(kinds)
    return pd.DataFrame(
        {
            name: pd.Series(
                pd.to_datetime(np.array(values, dtype=object), utc=True).as_unit("ms")
                if kind == _INSTANT
                else list(values),
                dtype=kind,
            )
            for (name, kind), values in zip(kinds.items(), columns, strict=True)
        }
    )
