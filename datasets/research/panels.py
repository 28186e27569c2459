"""One column of many datasets side by side, kept on disk once it has been made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd

from datasets.bars import DatasetKey, Timeframe
from datasets.errors import InvalidRequest
from datasets.research import lock_files
from datasets.research.dataframes import VALUE_COLUMNS, utc_index
from datasets.research.folders import Place, find_place, state_folder
from datasets.research.loader import Instant, parse_key, prepare, to_instant, to_number
from datasets.research.panel_builder import Maker, Series, Shape
from datasets.research.panel_cache import Keeper, Kept, Members
from datasets.research.service_client import Fetching, check_fetching

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
        `outer` has a row for each time that any symbol has, NaN where one has none; nothing
        is filled. `inner` has the times that all have.
    index
        `time`, the bar's opening, or `close_time`, from which on its value can be known.
    keep, cache
        Keep the panel in `cache`, by default `state/panels` below the outputs folder, and map
        it from there the next time, until a member's file changes.
    verify
        Compare each file with its hash; reading one column trusts what the file says of itself.
        With `lock` it is always done.
    start, end
        Which rows, by the index: with `index="close_time"` the instants of closing.

    The other parameters are those of `load`.

    Returns
    -------
    pd.DataFrame
        float64, a column for each symbol in the order given, the index in UTC. `attrs` say in
        `members` where each column comes from, and in `timeframe` how long the bars are.
        Changing the frame never changes the kept panel.
    """
    check_fetching(fetch)
    n_bars = to_number(n_bars)
    shape = Shape(*_check(field, join, index), closed=bool(closed), n_bars=n_bars or 0)
    bounds = (to_instant(start, "start"), to_instant(end, "end"))
    names = (symbols,) if isinstance(symbols, str) else tuple(symbols)
    series = Series(names, timeframe, n_bars, session, adjustment)
    if lock is None and url is None and fetch == "never" and keep and not verify:
        place = find_place(folder, source)
        maker = Maker(place, shape, _keeper(place, cache))
        kept = maker.kept(series, lambda: _parse_keys(series, source))
        if kept is not None:
            return _frame(kept, series, bounds, index)
    keys = _parse_keys(series, source)
    locked = lock_files.read_lock(lock) if lock is not None else None
    if locked is not None:
        keys = [locked.pin(key) for key in keys]
    place, keys = prepare(
        keys,
        fetch=fetch,
        source=source,
        folder=folder,
        url=url,
        token=token,
        is_exact=locked is not None,
    )
    maker = Maker(place, shape, _keeper(place, cache) if keep else None)
    # What is locked is the content, and not what the file says of it.
    is_locked = locked is not None
    is_exact = is_locked or url is not None
    panel = maker.make(keys, series, is_exact=is_exact, is_verified=verify or is_locked)
    if locked is not None:
        for facts in Members(panel.members):
            locked.check(facts)
    return _frame(panel, series, bounds, index)


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


def _check(field: str, join: str, index: str) -> tuple[str, str, str]:
    allowed = {
        "field": (field, VALUE_COLUMNS),
        "join": (join, ("outer", "inner")),
        "index": (index, ("time", "close_time")),
    }
    for name, (value, values) in allowed.items():
        if value not in values:
            message = f"{value!r} is not allowed; use one of {', '.join(values)}."
            raise InvalidRequest({name: [message]})
    return field, join, index


def _keeper(place: Place, cache: str | Path | None) -> Keeper:
    if cache is not None:
        return Keeper(Path(cache).expanduser().absolute())
    return Keeper(state_folder(place.datasets.parent) / "panels")


def _frame(
    panel: Kept, series: Series, bounds: tuple[int | None, int | None], index: str
) -> pd.DataFrame:
    start_ms, end_ms = bounds
    first = 0 if start_ms is None else int(np.searchsorted(panel.times, start_ms))
    last = len(panel.times) if end_ms is None else int(np.searchsorted(panel.times, end_ms))
    last = max(first, last)
    frame = pd.DataFrame(
        panel.values[:, first:last].T,
        index=utc_index(panel.times[first:last], index),
        columns=panel.symbols,
        copy=False,
    )
    members = Members(panel.members)
    lock_files.note_many(panel.name, members)
    frame.attrs.update(timeframe=Timeframe.parse(series.timeframe).value, members=members)
    return frame
