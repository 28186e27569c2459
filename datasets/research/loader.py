"""`load` and `catalog`: one dataset, and what there is."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from datasets.bars import DatasetKey
from datasets.errors import DatasetNotFound, FileCorrupt, InvalidRequest
from datasets.research import dataframes, lock_files
from datasets.research.dataframes import Form, choose_columns, provenance_of, render
from datasets.research.folders import (
    DEFAULT_SOURCE,
    Place,
    check_source,
    find_place,
    list_folder,
    list_keys,
    list_sources,
    outputs_folder,
    require_present,
)
from datasets.research.reader import OpenFile, Part, find_dataset, open_dataset, read_part
from datasets.research.service_client import Fetching, Service, check_fetching, local_address
from datasets.storage.paths import relative_path

Instant = str | date | datetime | pd.Timestamp


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
    fetch: Fetching = "never",
    source: str | None = None,
    folder: str | Path | None = None,
    url: str | None = None,
    token: str | tuple[str, str] | None = None,
    lock: str | Path | None = None,
) -> Any:
    """Load the bars of one dataset, from its file.

    Parameters
    ----------
    symbol, timeframe
        `BINANCE:BTCUSDT`, `1h`; any spelling that the API takes.
    n_bars
        How many bars back from the newest, of the dataset that was fetched last of those with
        enough. None takes all bars of one: the one fetched last of those with at least 5000 bars
        asked, or with the most bars there are.
    start, end
        From `start` (inclusive) to `end` (exclusive), by the bar's opening. UTC unless they
        say otherwise.
    session, adjustment
        `regular` or `extended`; `splits`, `dividends` or `none`.
    closed
        Leave out a last bar that was still forming when it was fetched, or may have been.
    columns
        Some of `open high low close volume close_time`; the five numbers by default.
    as_
        `pandas`, `arrow`, `polars` or `numpy` (a dict of arrays, `time` among them).
    fetch
        `never` reads what is there. `missing` asks the service to fetch what is not, and
        `stale` also what is older than one bar; the service is the one at `url`, else the
        one that runs on this machine.
    source
        `tradingview`; `sample` for invented bars, which are never taken unasked.
    folder
        The outputs folder; else `OUTPUTS_URL`, else `outputs/` beside the project.
    url, token
        Read from the service at this address instead, through a local cache. A token, or
        (user, password).
    lock
        A file of `write_lock`: take just the dataset that it names, and refuse other content.

    Returns
    -------
    pd.DataFrame
        Index `time`, the bar's opening, datetime64[ms, UTC]; float64 columns, a volume that
        the exchange does not give is NaN. `attrs` say where the bars come from.

    Raises
    ------
    DatasetNotFound
        With the close matches and the command that fetches.
    FileCorrupt
        The file does not hold the bars that were written.
    LockMismatch
        The dataset is not the one in the lock file.
    """
    check_fetching(fetch)
    dataframes.check_form(as_)
    chosen = choose_columns(columns)
    n_bars = to_number(n_bars)
    key = parse_key(
        source, symbol, timeframe, n_bars=n_bars, session=session, adjustment=adjustment
    )
    locked = lock_files.read_lock(lock) if lock is not None else None
    if locked is not None:
        key = locked.pin(key)
    place, (key,) = prepare(
        [key],
        fetch=fetch,
        source=source,
        folder=folder,
        url=url,
        token=token,
        is_exact=locked is not None,
    )
    if locked is not None:
        opened = locked.open(place, key)
    else:
        # The service has chosen, and its own file was copied.
        opened = find_dataset(place, key) if url is None else open_dataset(place, key)
    part = Part(
        columns=("time", *(name for name in chosen if name != dataframes.CLOSE_TIME)),
        start_ms=to_instant(start, "start"),
        end_ms=to_instant(end, "end"),
        n_bars=n_bars or 0,
        closed=closed,
    )
    return _rendered(place, opened, part, chosen, as_)


def _rendered(
    place: Place, opened: OpenFile, part: Part, columns: tuple[str, ...], form: Form
) -> Any:
    with opened:
        bars = read_part(opened, part)
    provenance = provenance_of(bars, f"{place.source}/{opened.name}")
    lock_files.note(opened.facts)
    return render(bars, columns, provenance, form)


def prepare(
    keys: Sequence[DatasetKey],
    *,
    fetch: Fetching,
    source: str | None,
    folder: str | Path | None,
    url: str | None,
    token: str | tuple[str, str] | None,
    is_exact: bool = False,
) -> tuple[Place, list[DatasetKey]]:
    """Return where the keys' files are, after fetching or copying what is to be, and the keys.

    With `is_exact` a service is asked for just the keys' own datasets.
    """
    _require_one_place(folder, url)
    if url is None and fetch == "never":
        return find_place(folder, source), list(keys)
    with Service(local_address() if url is None else url, token) as service:
        if url is not None:
            return service.mirror(keys, fetch=fetch, is_exact=is_exact)
        service.bring(keys, _known_here(keys, source, folder), fetch=fetch)
    return find_place(folder, source), list(keys)


def _require_one_place(folder: str | Path | None, url: str | None) -> None:
    if url is not None and folder is not None:
        message = "What a service sends is kept in a cache of its own; leave folder or url out."
        raise InvalidRequest({"folder": [message]})


def _known_here(
    keys: Sequence[DatasetKey], source: str | None, folder: str | Path | None
) -> dict[DatasetKey, dict[str, Any]]:
    """Return what the files of this machine say, for those of the keys that there are."""
    found: dict[DatasetKey, dict[str, Any]] = {}
    for key in keys:
        try:
            place = find_place(folder, source)
            with find_dataset(place, key) as opened:
                found[key] = opened.facts
        except (DatasetNotFound, FileCorrupt):
            continue
    return found


def parse_key(
    source: str | None,
    symbol: str,
    timeframe: str,
    *,
    n_bars: int | None,
    session: str,
    adjustment: str,
) -> DatasetKey:
    """Return the key that these spell; its `n_bars` is 0 where any number will do."""
    try:
        key = DatasetKey.parse(
            source=check_source(source),
            symbol=symbol,
            timeframe=timeframe,
            n_bars=1 if n_bars is None else n_bars,
            session=session,
            adjustment=adjustment,
        )
    except InvalidRequest as error:
        if list(error.errors) != ["exchange"]:
            raise
        message = f"{symbol!r} does not say which exchange; write it such as BINANCE:BTCUSDT."
        raise InvalidRequest({"symbol": [message]}) from None
    return key if n_bars is not None else replace(key, n_bars=0)


def to_number(n_bars: object) -> int | None:
    """Return a number of bars as a plain int; raise for what is none."""
    if n_bars is None:
        return None
    if not isinstance(n_bars, (int, np.integer)) or isinstance(n_bars, bool):
        raise InvalidRequest({"n_bars": [f"{n_bars!r} is no number of bars, such as 5000."]})
    return int(n_bars)


def to_instant(value: Instant | None, name: str) -> int | None:
    """Return an instant in ms, rounded up: no bar opens between two of them."""
    if value is None:
        return None
    message = f"{value!r} is no instant, such as '2025-01-31' or '2025-01-31T14:30+01:00'."
    # pandas would take a number for nanoseconds since 1970.
    if isinstance(value, (int, float, np.number)):
        raise InvalidRequest({name: [message]})
    try:
        moment = pd.Timestamp(_parse_iso(value) if isinstance(value, str) else value)
        if pd.isna(moment):
            raise ValueError(value)
        utc = moment.tz_localize("UTC") if moment.tzinfo is None else moment.tz_convert("UTC")
        whole = utc.as_unit("ms")
    except (TypeError, ValueError) as error:
        raise InvalidRequest({name: [message]}) from error
    return round(whole.timestamp() * 1000) + (whole < utc)


def _parse_iso(text: str) -> datetime:
    """Read ISO 8601 and nothing else: pandas guesses which number of 01/02/2025 is the month."""
    if re.fullmatch(r"[0-9]{4}(-[0-9]{2})?", text):
        text += "-01-01"[len(text) - 4 :]
    return datetime.fromisoformat(text)


def catalog(
    *,
    source: str | None = None,
    folder: str | Path | None = None,
    url: str | None = None,
    token: str | tuple[str, str] | None = None,
) -> pd.DataFrame:
    """Return one row for each dataset there is, of all sources or of one.

    A file that cannot be read has a row too; `state` says so. Raises `FolderUnavailable` where there
    is no dataset at all, because the disk may not be mounted.
    """
    _require_one_place(folder, url)
    if url is not None:
        with Service(url, token) as service:
            rows = [_row_of_service(offer.row) for offer in service.list_datasets(source=source)]
    else:
        datasets = outputs_folder(folder) / "datasets"
        names = (
            [find_place(folder, source).source] if source is not None else list_sources(datasets)
        )
        for name in names or [DEFAULT_SOURCE]:
            require_present(datasets, name)
        places = [Place(datasets, name) for name in names]
        rows = [_row_of_file(place, key) for place in places for key in list_keys(place)]
    frame = pd.DataFrame(rows, columns=list(_COLUMNS))
    for name in ("first_time", "last_time", "fetched_at"):
        frame[name] = pd.to_datetime(frame[name], utc=True, format="ISO8601")
    return frame.sort_values(["source", "full_symbol", "timeframe", "n_bars"], ignore_index=True)


_COLUMNS = (
    "source", "full_symbol", "timeframe", "n_bars", "session", "adjustment", "state", "n_rows",
    "first_time", "last_time", "last_bar_final", "fetched_at", "type", "currency", "description",
    "timezone", "session_hours", "bytes", "content_hash", "path",
)  # fmt: skip


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
    return row | {"state": "superseded" if is_superseded else "ready", "bytes": opened.identity[2]}


def _row_of_service(row: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = row["instrument"] | {**row, "n_rows": row["count"]}
    return merged
