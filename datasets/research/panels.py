"""`load_panel`: one column of many datasets side by side, cached on disk."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from datasets.bars import DatasetKey, Timeframe
from datasets.errors import DatasetNotFound, FileCorrupt, InvalidRequest, LockMismatch
from datasets.research import lock_files
from datasets.research.archives.bar_origins import prepare, read_pinned
from datasets.research.arguments import (
    VALUE_COLUMNS,
    Fetching,
    Instant,
    Origin,
    Part,
    check_choice,
    parse_key,
    to_number,
    to_range,
)
from datasets.research.dataframes import utc_index
from datasets.research.folders import Place, find_place, state_folder
from datasets.research.panel_builder import PanelBuilder, Series, Shape, panel_of
from datasets.research.panel_cache import Members, Panel, PanelCache

Join = Literal["outer", "inner"]
IndexBy = Literal["time", "close_time"]


def load_panel(
    symbols: Sequence[str],
    timeframe: str = "1h",
    *,
    field: str = "close",
    join: Join = "outer",
    index: IndexBy = "time",
    n_bars: int | None = None,
    start: Instant | None = None,
    end: Instant | None = None,
    session: str = "regular",
    adjustment: str = "splits",
    closed: bool = True,
    fetch: Fetching = "never",
    source: str | None = None,
    folder: str | Path | None = None,
    url: str | None = None,
    token: str | tuple[str, str] | None = None,
    lock: str | Path | None = None,
    keep: bool = True,
    cache: str | Path | None = None,
    verify: bool = False,
) -> pd.DataFrame:
    """Load one column of many datasets as one wide frame.

    Parameters
    ----------
    symbols, timeframe
        `EXCHANGE:SYMBOL` each; one timeframe for all.
    field
        `open`, `high`, `low`, `close` or `volume`.
    join
        `outer` has a row for each time of any symbol, NaN where a symbol has no bar; nothing
        is filled. `inner` has only the times that all symbols have.
    index
        `time`, the bar's opening, or `close_time`, the instant from which on the value is known.
    keep, cache
        Keep the panel in the folder `cache`, by default `state/panels` below the outputs folder,
        and map it into memory from there the next time, until a member's file changes.
    verify
        Compare each file with its hash. By default the one column is read without a comparison.
        With `lock` each file is always compared.
    start, end
        Bounds of the rows, by the index: with `index="close_time"` the closing instants.

    The other parameters are those of `load`.

    Returns
    -------
    pd.DataFrame
        float64, a column for each symbol in the given order; the index in UTC, strictly
        increasing. In `attrs`, `members` describes the file of each column and `timeframe` the
        bars' length. Changes of the frame never change the panel on disk.

    Raises
    ------
    The errors of `load`. `DatasetNotFound` names all symbols without a dataset.
    """
    origin = Origin(source=source, folder=folder, url=url, token=token, fetch=fetch)
    n_bars = to_number(n_bars)
    check_choice("field", field, VALUE_COLUMNS)
    check_choice("join", join, get_args(Join))
    check_choice("index", index, get_args(IndexBy))
    shape = Shape(field, join, index, closed=bool(closed), n_bars=n_bars or 0)
    bounds = to_range(start, end)
    names = (symbols,) if isinstance(symbols, str) else tuple(symbols)
    series = Series(names, timeframe, n_bars, session, adjustment)
    panel = None
    if lock is None and url is None and fetch == "never" and keep and not verify:
        place = find_place(folder, source)
        if place.is_copied:
            place.bring(_parse_keys(series, source))
        builder = PanelBuilder(place, shape, _panel_cache(place, cache))
        panel = builder.find_cached(series, lambda: _parse_keys(series, source))
    if panel is None:
        panel = _build(series, shape, origin, lock, keep=keep, cache=cache, verify=verify)
    times, values = panel.between(*bounds)
    frame = pd.DataFrame(values.T, index=utc_index(times, index), columns=panel.symbols, copy=False)
    # Panels of one name have the same members, and a sweep loads the same panel again and again.
    known = lock_files.find_noted(panel.name)
    members = known if isinstance(known, Members) else Members.parse(panel.members)
    lock_files.note_many(panel.name, members)
    frame.attrs.update(timeframe=Timeframe.parse(series.timeframe).value, members=members)
    return frame


def _build(
    series: Series,
    shape: Shape,
    origin: Origin,
    lock: str | Path | None,
    *,
    keep: bool,
    cache: str | Path | None,
    verify: bool,
) -> Panel:
    """Build a panel from its files, after the needed fetches and copies."""
    keys = _parse_keys(series, origin.source)
    locked = lock_files.read_lock(lock) if lock is not None else None
    if locked is not None:
        keys = [locked.pin(key) for key in keys]
    is_locked = locked is not None
    try:
        place, found = prepare(keys, origin, is_exact=is_locked)
        builder = PanelBuilder(place, shape, _panel_cache(place, cache) if keep else None, locked)
        # A lock is about the bars themselves, so the files' own hashes are not trusted.
        is_exact = is_locked or origin.url is not None
        return builder.build(found, series, is_exact=is_exact, is_verified=verify or is_locked)
    except (DatasetNotFound, FileCorrupt, LockMismatch):
        if locked is None:
            raise
        # Members that have changed since come from their archives.
        whole = Part(columns=("time", shape.field), closed=False)
        return panel_of([read_pinned(locked, key, whole, origin)[0] for key in keys], shape)


def _parse_keys(series: Series, source: str | None) -> list[DatasetKey]:
    keys = [
        parse_key(
            source,
            name,
            series.timeframe,
            n_bars=series.n_bars,
            session=series.session,
            adjustment=series.adjustment,
        )
        for name in series.symbols
    ]
    if not keys:
        raise InvalidRequest({"symbols": ["Name at least one symbol."]})
    twice = [key.full_symbol for key in keys]
    if len(set(twice)) < len(twice):
        name = next(name for name in twice if twice.count(name) > 1)
        raise InvalidRequest({"symbols": [f"{name} is named more than once."]})
    return keys


def _panel_cache(place: Place, folder: str | Path | None) -> PanelCache:
    """Return the cache in the folder, or in the place's own state folder for None."""
    if folder is not None:
        return PanelCache(Path(folder).expanduser().absolute())
    return PanelCache(state_folder(place.datasets.parent) / "panels")
