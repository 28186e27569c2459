"""Bars as a data folder of qlib: a calendar, a list of instruments, and a file for each field."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from uuid import uuid4
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from datasets.bars import BarLength
from datasets.errors import InvalidRequest
from datasets.research.engines.engine_bars import has_volume, require_bars, require_one_basis
from datasets.research.market_hours import sessions, trading_day

_FOLDERS = frozenset({"calendars", "features", "instruments"})
# pandas, with which qlib reads the list of instruments, takes these names for missing values.
_NO_NAMES = frozenset({"na", "nan", "null", "none", "n/a"})
# qlib writes the names of devices of Windows with a prefix.
_DEVICES = frozenset(
    {"con", "prn", "aux", "nul"} | {f"{port}{n}" for port in ("com", "lpt") for n in range(10)}
)


def write_qlib(frames: Mapping[str, pd.DataFrame], folder: str | Path) -> Path:
    """Write bars as qlib's data folder, the `provider_uri` of `qlib.init`; return the folder.

    Parameters
    ----------
    frames
        Bars of days, minutes or hours by instrument, from `load`, all with the same timeframe and
        adjustment. Bars of days may come from several markets, shorter ones from one time zone.
    folder
        A new or empty folder, or one of an earlier export, which is replaced as a whole.

    Returns
    -------
    Path
        `folder`, with `calendars/day.txt` (or `60min.txt`), `instruments/all.txt` and
        `features/aapl/close.day.bin`. Days are trading dates, the sessions without a bar among
        them (NaN); shorter bars have the opening on the exchange's clock. Numbers are float32.
        `factor`, all 1, is written for `adjustment="none"` only: of adjusted bars the factor is
        not known, and qlib then trades parts of a share.

    Raises
    ------
    InvalidRequest
        The frames differ in their adjustment, timeframe, session or time zone; a name is not
        possible in qlib; the folder holds something else; or the errors of `require_bars`.
    """
    if not frames:
        raise InvalidRequest({"frames": ["There are no bars."]})
    require_one_basis(frames)
    folded = [name.lower() for name in frames]
    for name in folded:
        if name in _NO_NAMES or not name.strip(".") or set(name) & set("/\\\t\n\0"):
            message = f"qlib cannot read an instrument named {name!r}; give it another name."
            raise InvalidRequest({"frames": [message]})
    if len(set(folded)) < len(folded):
        raise InvalidRequest({"frames": ["qlib does not distinguish capital letters in names."]})
    target = Path(folder)
    if target.exists() and not {path.name for path in target.iterdir()} <= _FOLDERS:
        message = f"{target} holds other files than a data folder of qlib; use another folder."
        raise InvalidRequest({"folder": [message]})
    length = BarLength.parse(str(next(iter(frames.values())).attrs.get("timeframe", "")))
    if length.value != "1D" and length.minutes is None:
        message = f"qlib makes bars of {length.label} of those of days; load these."
        raise InvalidRequest({"timeframe": [message]})
    labels = {name: _labels(name, bars, length) for name, bars in frames.items()}
    calendar = _calendar(frames, labels, length)
    target.parent.mkdir(parents=True, exist_ok=True)
    made = target.with_name(f".{target.name}-{uuid4().hex}")
    try:
        _write(made, frames, labels, calendar, length)
        old = made.with_name(f"{made.name}.old")
        with suppress(FileNotFoundError):
            target.rename(old)
        made.rename(target)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return target


def _labels(name: str, bars: pd.DataFrame, length: BarLength) -> pd.DatetimeIndex:
    """Return the time of each bar in qlib: its trading date, or its opening on the exchange's clock."""
    frame = require_bars(bars, name=name)
    if length.minutes is None:
        return pd.DatetimeIndex(trading_day(bars)).as_unit("s")
    zone = ZoneInfo(str(bars.attrs.get("timezone") or "UTC"))
    local = pd.DatetimeIndex(frame.index).tz_convert(zone).tz_localize(None).as_unit("s")
    if not local.is_monotonic_increasing or not local.is_unique:
        message = (
            f"On the clock of {zone} an hour stands twice when summer time ends, and {name} has bars "
            "in it: qlib has no time zone and cannot tell them apart."
        )
        raise InvalidRequest({"frames": [message]})
    return local


def _calendar(
    frames: Mapping[str, pd.DataFrame], labels: Mapping[str, pd.DatetimeIndex], length: BarLength
) -> pd.DatetimeIndex:
    """Return the times of all bars and, of days, all sessions of the markets from first to last."""
    zones = {str(bars.attrs.get("timezone")) for bars in frames.values()}
    if length.minutes is not None and len(zones) > 1:
        message = (
            f"qlib has one clock for all instruments, and these have {', '.join(sorted(zones))}."
        )
        raise InvalidRequest({"frames": [message]})
    calendar = pd.DatetimeIndex([], dtype="M8[s]")
    for name, bars in frames.items():
        calendar = calendar.union(labels[name])
        if length.minutes is None:
            last = labels[name][-1] + pd.Timedelta(days=1)
            calendar = calendar.union(pd.DatetimeIndex(sessions(bars, labels[name][0], last).index))
    return calendar


def _write(
    folder: Path,
    frames: Mapping[str, pd.DataFrame],
    labels: Mapping[str, pd.DatetimeIndex],
    calendar: pd.DatetimeIndex,
    length: BarLength,
) -> None:
    form, freq = "%Y-%m-%d", "day"
    if length.minutes is not None:
        form, freq = "%Y-%m-%d %H:%M:%S", f"{length.minutes}min"
    for name in _FOLDERS:
        (folder / name).mkdir(parents=True)
    (folder / "calendars" / f"{freq}.txt").write_text("\n".join([*calendar.strftime(form), ""]))
    rows = []
    for name, bars in frames.items():
        times = labels[name]
        rows.append(f"{name.upper()}\t{times[0].strftime(form)}\t{times[-1].strftime(form)}\n")
        place = name.lower()
        home = folder / "features" / (f"_qlib_{place}" if place in _DEVICES else place)
        home.mkdir()
        first, last = (int(place) for place in calendar.get_indexer(times[[0, -1]]))
        table = require_bars(bars).set_axis(times).reindex(calendar[first : last + 1])
        if not has_volume(table):
            table = table.drop(columns="volume", errors="ignore")
        if bars.attrs.get("adjustment") == "none":
            table["factor"] = 1.0
        for field, values in table.items():
            content = np.append(np.float64(first), values.to_numpy()).astype("<f4")
            content.tofile(home / f"{field}.{freq}.bin")
    (folder / "instruments" / "all.txt").write_text("".join(rows))
