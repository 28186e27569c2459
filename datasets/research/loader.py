"""`load`: the bars of one dataset. `catalog`: a table of all datasets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd

from datasets.bars import BarLength, DatasetKey
from datasets.errors import DatasetNotFound, FileCorrupt, InvalidRequest
from datasets.research.archives.bar_origins import read_bars
from datasets.research.archives.current_bars import require_current
from datasets.research.arguments import (
    CLOSE_TIME,
    VALUE_COLUMNS,
    Fetching,
    Form,
    Instant,
    Origin,
    Part,
    Requirement,
    Unit,
    check_choice,
    check_form,
    check_one_place,
    choose_columns,
    parse_key,
    to_instant,
    to_number,
    to_range,
)
from datasets.research.folders import (
    Place,
    list_keys,
    list_places,
)
from datasets.research.listings import list_folder
from datasets.research.load_forms import provenance_of, render
from datasets.research.reader import open_dataset
from datasets.research.resampling import make_bars
from datasets.research.service import Service
from datasets.storage import relative_path

_COLUMNS = (
    "source", "full_symbol", "timeframe", "n_bars", "session", "adjustment", "state", "n_rows",
    "first_time", "last_time", "last_bar_final", "fetched_at", "type", "currency", "description",
    "timezone", "session_hours", "bytes", "content_hash", "path",
)  # fmt: skip


def load(
    symbol: str,
    timeframe: str = "1h",
    *,
    n_bars: int | None = None,
    start: Instant | None = None,
    end: Instant | None = None,
    session: str = "regular",
    adjustment: str = "splits",
    closed: bool = True,
    columns: str | Sequence[str] | None = None,
    as_: Form = "pandas",
    unit: Unit = "ms",
    fetch: Fetching = "never",
    source: str | None = None,
    folder: str | Path | None = None,
    url: str | None = None,
    token: str | tuple[str, str] | None = None,
    lock: str | Path | None = None,
    as_of: Instant | None = None,
    require: Requirement | None = None,
) -> Any:
    """Load the bars of one dataset from its file, or a range at any depth from the archive.

    Parameters
    ----------
    symbol, timeframe
        `BINANCE:BTCUSDT`, `1h`; any spelling that the API takes. Bars of other lengths, such as
        `7`, `6h`, `2D` or `3M`, are made of the largest timeframe that TradingView sends and
        that divides them; `attrs["made_from"]` names it. They are always whole.
    n_bars
        Number of bars back from the newest. Of the datasets with enough bars, the one that was
        fetched last answers; where no dataset has enough, the archive. None takes all bars of
        one dataset: the one fetched last of those that were asked for with at least 5000 bars,
        else the one with the most bars.
    start, end
        From `start` (inclusive) to `end` (exclusive), by the bar's opening. UTC unless the
        value carries a time zone. Without `n_bars` the archive answers where it has bars before
        those of the dataset.
    session, adjustment
        `regular` or `extended`; `splits`, `dividends` or `none`.
    closed
        Leave out a last bar that was, or may have been, still forming when it was fetched.
    columns
        Some of `open high low close volume close_time`; all but `close_time` by default.
    as_
        `pandas`, `arrow`, `polars` or `numpy` (a dict of arrays, `time` among them).
    unit
        Unit of the times: `ms`, `us` (what pandas and polars make of texts and dates) or `ns`.
    fetch
        `never` reads only files that exist. `missing` lets the service fetch a dataset that
        does not exist; `stale` also one that is older than one bar. The service is the one at
        `url`, else the one on this machine.
    source
        `tradingview` by default; `sample` for invented bars, which are never the default.
    folder
        The outputs folder, or a place in a bucket, `s3://bucket/prefix`, with the credentials in the
        variables `AWS_…`; else `OUTPUTS_URL`, else `outputs/` beside the project.
    url, token
        Read from the service at this address, through a local cache of its files. `token` is an
        API token, or (user, password).
    lock
        A file of `write_lock`: load the bars that the file names. Where the dataset has changed
        since, the archive brings them back; other content is refused.
    as_of
        The bars as they were known at this instant, from the archive; not with `lock` or
        `fetch`.
    require
        `current`: the bars must have every bar that has closed by now, by the calendar that the
        feed has sent; not with `end`, `lock` or `as_of`.

    Returns
    -------
    pd.DataFrame
        Index `time`, the bar's opening, datetime64[unit, UTC], strictly increasing; float64
        columns, NaN for a volume that the exchange does not give. `attrs` name the dataset.

    Raises
    ------
    DatasetNotFound
        No file answers; the message names close matches and the command that fetches.
    FileMissing
        Nothing was archived yet at `as_of`.
    FileCorrupt
        The file does not hold the bars that were written.
    LockMismatch
        The dataset is not the one in the lock file, and the archive cannot bring that one back.
    NotCurrent
        With `require`: closed bars are missing, or the trading hours are not known. The message
        gives the reason; `available_at` is when the missing bars are expected, None for never.
    InvalidRequest
        An argument is wrong; the message names the argument and the allowed values.
    ServiceFailed
        The service did not give the bars.
    StoreUnavailable
        The bucket does not answer.
    """
    check_form(as_, unit)
    origin = Origin(source=source, folder=folder, url=url, token=token, fetch=fetch)
    names, n_bars = choose_columns(columns), to_number(n_bars)
    start_ms, end_ms = to_range(start, end)
    part = Part(
        columns=("time", *(name for name in names if name != CLOSE_TIME)),
        start_ms=start_ms,
        end_ms=end_ms,
        n_bars=n_bars or 0,
        closed=closed,
    )
    length = BarLength.parse(timeframe)
    key = parse_key(
        source,
        symbol,
        length.base.value,
        # A number below 1 is refused with the key.
        n_bars=n_bars if n_bars is None or n_bars < 1 else length.n_base_bars(n_bars),
        session=session,
        adjustment=adjustment,
    )
    as_of_ms = to_instant(as_of, "as_of")
    if as_of_ms is not None:
        _check_as_of(origin, lock)
    if require is not None:
        _check_requirement(require, {"end": end, "lock": lock, "as_of": as_of})
    if length.fetched is not None:
        bars, path = read_bars(key, part, origin, lock, as_of_ms)
        if require is not None:
            require_current(bars.facts, origin)
        return render(bars, names, provenance_of(bars, path, as_of_ms), as_, unit)
    try:
        bars, path = read_bars(key, Part(), origin, lock, as_of_ms)
    except DatasetNotFound as error:
        made = f"Bars of {length.value} are made of bars of {length.base.value}."
        raise type(error)(f"{made} {error}") from error
    if require is not None:
        require_current(bars.facts, origin)
    base = render(bars, VALUE_COLUMNS, provenance_of(bars, path, as_of_ms), "pandas", unit)
    return make_bars(base, length, part, names, as_)


def _check_requirement(require: str, others: dict[str, object]) -> None:
    """Raise `InvalidRequest` for an unknown requirement, and for arguments that it excludes."""
    check_choice("require", require, get_args(Requirement))
    given = [name for name, value in others.items() if value is not None]
    if given:
        message = (
            f"require='current' is about the newest bars; it cannot be combined with {given[0]}."
        )
        raise InvalidRequest({"require": [message]})


def _check_as_of(origin: Origin, lock: str | Path | None) -> None:
    """Raise `InvalidRequest` for arguments that `as_of` cannot be combined with."""
    wrong = {"fetch": origin.fetch != "never", "lock": lock is not None}
    names = [name for name, is_given in wrong.items() if is_given]
    if names:
        raise InvalidRequest(
            {
                "as_of": [
                    f"as_of reads what the archive has already; it cannot be combined with {names[0]}."
                ]
            }
        )


def catalog(
    *,
    source: str | None = None,
    folder: str | Path | None = None,
    url: str | None = None,
    token: str | tuple[str, str] | None = None,
) -> pd.DataFrame:
    """Return a frame with one row for each dataset, of one source or of all.

    Instants are datetime64[UTC], `bytes` is the file's size. A file that cannot be read has a
    row with the state `corrupt`. Raises `FolderUnavailable` where there is no dataset at all,
    because the disk may not be mounted.
    """
    check_one_place(folder, url)
    if url is not None:
        with Service(url, token) as service:
            offered = [offer.row for offer in service.list_datasets(source=source)]
        rows = [row["instrument"] | row | {"n_rows": row["count"]} for row in offered]
    else:
        places = list_places(folder, source)
        rows = [_row_of_file(place, key) for place in places for key in list_keys(place)]
    frame = pd.DataFrame(rows, columns=list(_COLUMNS))
    for name in ("first_time", "last_time", "fetched_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
    return frame.sort_values(["source", "full_symbol", "timeframe", "n_bars"], ignore_index=True)


def _row_of_file(place: Place, key: DatasetKey) -> dict[str, Any]:
    row: dict[str, Any] = {
        "full_symbol": key.full_symbol,
        **key.as_dict(),
        "path": relative_path(key),
    }
    try:
        opened = open_dataset(place, key)
    except (FileCorrupt, DatasetNotFound):
        return row | {"state": "corrupt", "bytes": np.nan}
    opened.close()
    row |= opened.facts["instrument"] | opened.facts
    is_superseded = opened.name in list_folder(place.folder).superseded
    return row | {
        "state": "superseded" if is_superseded else "ready",
        "bytes": opened.identity[1].n_bytes,
    }
