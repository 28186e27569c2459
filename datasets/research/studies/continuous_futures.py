"""`continuous`: one series from the contracts of a future."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, get_args

import pandas as pd

from datasets.bars import PRICE_COLUMNS
from datasets.calendars import CALENDAR_FACTS
from datasets.errors import InvalidRequest
from datasets.research.arguments import CLOSE_TIME, Instant, check_choice, to_instant
from datasets.research.dataframes import (
    as_frame,
    close_times,
    drop_forming,
    index_ms,
    require_unique,
)

Method = Literal["ratio", "difference", "none"]
_KEPT_FACTS = ("source", "exchange", "timeframe", "session", "session_hours", "timezone", "currency", *CALENDAR_FACTS)  # fmt: skip


def continuous(
    contracts: Mapping[str, pd.DataFrame],
    rolls: Sequence[Instant],
    *,
    method: Method = "ratio",
) -> pd.DataFrame:
    """Join the contracts of a future to one series, adjusted backwards from the newest contract.

    Parameters
    ----------
    contracts
        Name and bars of each contract, in the order of their expiry; bars of `load`, or a slice,
        with `open high low close`, all of one timeframe.
    rolls
        One instant (UTC unless it has a zone) between each two neighbours, in the order of time:
        a bar that opens at the instant or later is of the next contract.
    method
        `ratio`: older prices times the ratio of both closes, so that returns are right; needs
        prices above 0. `difference`: plus the difference of both closes, so that gains in points
        are right; old prices may be below 0. `none`: prices as they were traded; the return
        over a roll is wrong.

    Returns
    -------
    pd.DataFrame
        Index `time` (openings, UTC, strictly increasing); the columns that all contracts have;
        `contract` (str); `close_time` (datetime64[ms, UTC]). Volume is not adjusted. A forming
        last bar is left out. In `attrs`: `roll_method`; `rolls`, a dict for each roll with `at`,
        `from`, `to`, `measured_at` (opening of the newest bar that both contracts have and that
        closed by the roll) and `step` (the ratio, the difference, or None); of the newest
        contract its hours, timeframe and currency. Instants in `attrs` are ISO 8601, UTC.

    Raises
    ------
    InvalidRequest
        The rolls do not fit the contracts, a contract has no bar between its rolls, two
        neighbours share no closed bar before their roll, the timeframes differ, or a close is
        not above 0 with `ratio`.

    Notes
    -----
    Adjusted levels look ahead: each later roll changes all older prices. Use them for returns
    and gains; use `none` for levels.
    """
    check_choice("method", method, get_args(Method))
    bars = {name: _closed(frame, name) for name, frame in contracts.items()}
    starts = _roll_instants(bars, rolls)
    names = list(bars)
    ends = [*starts, pd.Timestamp.max.tz_localize("UTC")]
    steps: list[dict[str, Any]] = []
    parts: list[pd.DataFrame] = []
    ratio, offset = 1.0, 0.0
    # From the newest contract, which stays as it is, to the oldest.
    for i, name in reversed(list(enumerate(names))):
        if i < len(starts):
            steps.append(_measure(bars, name, names[i + 1], starts[i], method))
            ratio *= steps[-1]["step"] if method == "ratio" else 1.0
            offset += steps[-1]["step"] if method == "difference" else 0.0
        frame = bars[name]
        is_used = frame.index < ends[i]
        if i:
            is_used &= frame.index >= starts[i - 1]
        if not is_used.any():
            message = f"{name} has no bar between its rolls."
            raise InvalidRequest({"rolls": [message]})
        part = frame[is_used].assign(contract=name)
        part[list(PRICE_COLUMNS)] = part[list(PRICE_COLUMNS)] * ratio + offset
        parts.append(part)
    for part in parts:
        # Else pandas compares the attrs of all parts.
        part.attrs = {}
    joined = pd.concat(parts[::-1], join="inner")
    newest = contracts[names[-1]].attrs
    joined.attrs = {name: newest[name] for name in _KEPT_FACTS if name in newest}
    joined.attrs |= {"roll_method": method, "rolls": steps[::-1]}
    return joined


def _closed(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """Return the closed bars of a contract with their closing times."""
    require_unique(as_frame(frame, "contracts"))
    missing = [column for column in PRICE_COLUMNS if column not in frame.columns]
    if missing:
        raise InvalidRequest({"contracts": [f"{name} has no column {missing[0]!r}."]})
    index_ms(frame)
    closed = drop_forming(frame)
    if pd.DatetimeIndex(closed.index).tz is None:
        closed = closed.tz_localize("UTC")
    return closed.assign(**{CLOSE_TIME: close_times(frame).iloc[: len(closed)]})


def _roll_instants(
    bars: Mapping[str, pd.DataFrame], rolls: Sequence[Instant]
) -> list[pd.Timestamp]:
    """Return the rolls as aware instants; raise `InvalidRequest` unless they fit the contracts."""
    if not bars or len(rolls) != len(bars) - 1:
        message = f"{len(bars)} contracts need {max(len(bars) - 1, 0)} rolls, not {len(rolls)}."
        raise InvalidRequest({"rolls": [message]})
    timeframes = {str(frame.attrs.get("timeframe")) for frame in bars.values()}
    if len(timeframes) > 1:
        message = (
            f"The contracts have bars of {' and '.join(sorted(timeframes))}; use one timeframe."
        )
        raise InvalidRequest({"contracts": [message]})
    found = [to_instant(roll, "rolls") for roll in rolls]
    starts = [pd.Timestamp(int(each or 0), unit="ms", tz="UTC") for each in found]
    if None in found or any(later <= earlier for earlier, later in pairwise(starts)):
        raise InvalidRequest({"rolls": ["The rolls are not in strictly increasing order of time."]})
    return starts


def _measure(
    bars: Mapping[str, pd.DataFrame], old: str, new: str, roll: pd.Timestamp, method: Method
) -> dict[str, Any]:
    """Return the entry of a roll in `attrs`, with the step of the closes at the newest common bar."""
    entry: dict[str, Any] = {"at": roll.isoformat(), "from": old, "to": new, "measured_at": None, "step": None}  # fmt: skip
    if method == "none":
        return entry
    columns = ["close", CLOSE_TIME]
    both = bars[old][columns].join(bars[new][columns].add_suffix("_new"), how="inner")
    known = both[(both[CLOSE_TIME] <= roll) & (both[f"{CLOSE_TIME}_new"] <= roll)]
    if not len(known):
        message = (
            f"{old} and {new} share no bar that closed before {roll}, so the step is not known."
        )
        raise InvalidRequest({"rolls": [message]})
    before, after = float(known["close"].iloc[-1]), float(known["close_new"].iloc[-1])
    if method == "ratio" and min(before, after) <= 0:
        message = f"A close of {old} or {new} is not above 0; use method='difference'."
        raise InvalidRequest({"method": [message]})
    step = after / before if method == "ratio" else after - before
    return entry | {"measured_at": known.index[-1].isoformat(), "step": step}
