"""Splits, continuous futures, and the recipes of docs/research/studies.md."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.bars import Instrument, make_table
from datasets.errors import InvalidRequest
from datasets.research import align, close_times, continuous, purged_splits, walk_forward
from tests.support.stacks import ROOT
from tests.support.study_files import write

HOUR_MS = 3_600_000
DAY_S = 86_400
FIRST_S = 1_735_689_600  # 2025-01-01
MARKETS = {"24x7": "Etc/UTC", "0930-1600": "America/New_York", "1800-1700": "America/New_York"}


def make_bars(hours: np.ndarray[Any, Any], closes: Any = 1.0, market: str = "24x7") -> pd.DataFrame:
    """Return hourly bars at these hours since 2025, of a market with these trading hours."""
    index = pd.DatetimeIndex((FIRST_S * 1000 + hours * HOUR_MS).astype("M8[ms]"), tz="UTC", name="time")  # fmt: skip
    prices = np.broadcast_to(np.asarray(closes, dtype=float), len(hours))
    bars = pd.DataFrame(dict.fromkeys(("open", "high", "low", "close"), prices), index=index)
    bars["volume"] = 1.0
    bars.attrs = {"timeframe": "1h", "session_hours": market, "timezone": MARKETS[market]}
    return bars


@st.composite
def studies(draw: Any) -> tuple[pd.DataFrame, pd.Series | None, pd.Timedelta, int]:
    """Return bars with holes, when their labels are known, an embargo, and a number of parts."""
    random = np.random.default_rng(draw(st.integers(0, 999)))
    hours = np.flatnonzero(random.random(draw(st.integers(40, 160))) < 0.8)
    bars = make_bars(hours, market=draw(st.sampled_from(sorted(MARKETS))))
    known_at = None
    if draw(st.booleans()):
        length = pd.to_timedelta(random.integers(0, 12, len(bars)), unit="h")
        known_at = (close_times(bars) + length).where(random.random(len(bars)) < 0.95)
    return bars, known_at, pd.Timedelta(hours=draw(st.integers(0, 5))), draw(st.integers(2, 4))


@settings(max_examples=60, deadline=None)
@given(drawn=studies(), n_train=st.none() | st.integers(1, 9), is_purged=st.booleans())
def test_no_training_row_reaches_into_its_test_part(
    drawn: Any, n_train: int | None, is_purged: bool
) -> None:
    bars, known_at, embargo, n_splits = drawn
    options: dict[str, Any] = {"known_at": known_at, "embargo": embargo}
    try:
        found = (
            purged_splits(bars, n_splits, **options)
            if is_purged
            else walk_forward(bars, n_splits, n_train=n_train, **options)
        )
    except InvalidRequest as error:
        assert "No row is left" in str(error)
        return

    known = close_times(bars) if known_at is None else known_at
    assert len(found) == n_splits
    for train, test in found:
        assert len(test) and len(train)
        begins, ends = bars.index[test[0]], known.iloc[test].max()
        is_before = known.iloc[train] <= begins - embargo
        is_after = bars.index[train] >= ends + embargo
        assert (is_before | (is_after & is_purged)).all()
        assert known.iloc[[*train, *test]].notna().all()
        assert n_train is None or is_purged or len(train) <= n_train
    tested = np.concatenate([test for _, test in found])
    assert (np.diff(tested) > 0).all()
    if is_purged:
        assert len(tested) == known.notna().sum()


def test_no_row_that_may_train_is_left_out() -> None:
    bars = make_bars(np.arange(60))
    known_at = close_times(bars).shift(-5)

    train, test = walk_forward(bars, 1, n_test=10, known_at=known_at, embargo="2h")[0]
    middle = purged_splits(bars, 5, known_at=known_at, embargo="2h")[2]

    # 55 rows are known; row n is known at n + 6 hours.
    assert test.tolist() == list(range(45, 55))
    assert train.tolist() == list(range(45 - 2 - 6 + 1))
    assert middle.test.tolist() == list(range(22, 33))
    assert middle.train.tolist() == [*range(22 - 2 - 6 + 1), *range(32 + 6 + 2, 55)]


def test_a_forming_bar_is_in_no_part() -> None:
    bars = make_bars(np.arange(30))
    bars.attrs["edge"] = {"forming": bars.index[-1].isoformat(), "last": bars.index[-1].isoformat()}

    assert purged_splits(bars, 3)[-1].test[-1] == 28
    assert walk_forward(bars, 3)[-1].test[-1] == 28


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_splits": 0}, "0 test parts"),
        ({"n_splits": 30}, "cannot give"),
        ({"n_train": 0}, "n_train must be 1"),
        ({"embargo": "soon"}, "no length of time"),
        ({"embargo": "-1h"}, "0 or more"),
        ({"embargo": "3D"}, "No row is left to train"),
        ({"known_at": pd.Series([1])}, "not on the index"),
        ({"bars": make_bars(np.arange(30)).rename_axis("close_time")}, "not when they opened"),
    ],
)
def test_splits_that_cannot_be_made_are_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        walk_forward(**({"bars": make_bars(np.arange(30))} | change))


# --- continuous futures -------------------------------------------------------------------


def contracts() -> dict[str, pd.DataFrame]:
    """Three contracts of 40 hours each, which overlap by 20: at hour h each close is level + h."""
    spans = {"H": (0, 40, 100.0), "M": (20, 60, 110.0), "U": (40, 80, 99.0)}
    return {
        name: make_bars(np.arange(first, last), level + np.arange(first, last))
        for name, (first, last, level) in spans.items()
    }


ROLLS = ["2025-01-02T06:00", "2025-01-03T02:00Z"]  # hours 30 and 50


@pytest.mark.parametrize("method", ["ratio", "difference", "none"])
def test_returns_over_a_roll_are_those_of_one_contract(method: Any) -> None:
    parts = contracts()

    future = continuous(parts, ROLLS, method=method)

    assert len(future) == 80
    assert future["contract"].tolist() == ["H"] * 30 + ["M"] * 20 + ["U"] * 30
    close = future["close"].to_numpy()
    assert close[50:].tolist() == parts["U"]["close"].iloc[10:].tolist()
    # Hour 29 is the newest bar that closed by the first roll, hour 49 by the second.
    h, m, u = 129.0, (139.0, 159.0), 148.0
    steps = [entry["step"] for entry in future.attrs["rolls"]]
    if method == "ratio":
        assert steps == [m[0] / h, u / m[1]]
        assert close[30] / close[29] == pytest.approx(140 / m[0])
        assert close[0] == pytest.approx(100 * steps[0] * steps[1])
    elif method == "difference":
        assert steps == [m[0] - h, u - m[1]]
        assert np.diff(close).tolist() == [1.0] * 79
    else:
        assert steps == [None, None]
        assert close[29:31].tolist() == [129.0, 140.0]
    first = future.attrs["rolls"][0]
    assert (first["from"], first["to"]) == ("H", "M")
    assert first["at"] == "2025-01-02T06:00:00+00:00"
    assert first["measured_at"] == (None if method == "none" else "2025-01-02T05:00:00+00:00")
    assert (future.attrs["roll_method"], future.attrs["timeframe"]) == (method, "1h")
    assert (future["volume"] == 1).all()


def test_a_step_never_uses_a_bar_that_closed_after_its_roll() -> None:
    changed = contracts()
    for name in ("H", "M"):
        # The bar of hour 29 closes half an hour after this roll.
        changed[name].loc[changed[name].index >= "2025-01-02T05:00", "close"] *= 7

    future = continuous(
        {name: changed[name] for name in ("H", "M")}, ["2025-01-02T05:30"], method="ratio"
    )

    (roll,) = future.attrs["rolls"]
    assert roll["measured_at"] == "2025-01-02T04:00:00+00:00"
    assert roll["step"] == 138 / 128


def test_a_continuous_future_can_be_aligned_and_split() -> None:
    future = continuous(contracts(), ROLLS)

    joined = align(make_bars(np.arange(80)), future, columns="close", suffix="_future")

    assert joined["close_future"].tolist() == future["close"].tolist()
    assert len(walk_forward(future, 3)) == 3


@pytest.mark.parametrize(
    ("rolls", "method", "words"),
    [
        (ROLLS[:1], "ratio", "3 contracts need 2 rolls"),
        (ROLLS[::-1], "ratio", "strictly increasing"),
        (["2025-01-01T10:00", ROLLS[1]], "ratio", "share no bar that closed before"),
        ([ROLLS[0], "2025-01-09"], "ratio", "U has no bar between its rolls"),
        (ROLLS, "average", "not allowed"),
    ],
)
def test_rolls_that_do_not_fit_are_refused(rolls: list[str], method: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=words):
        continuous(contracts(), rolls, method=method)


def test_a_ratio_of_a_price_below_zero_and_mixed_timeframes_are_refused() -> None:
    below = contracts()
    below["M"]["close"] -= 200.0
    mixed = contracts()
    mixed["U"].attrs["timeframe"] = "1D"

    with pytest.raises(InvalidRequest, match="use method='difference'"):
        continuous(below, ROLLS)
    with pytest.raises(InvalidRequest, match="1D and 1h; use one timeframe"):
        continuous(mixed, ROLLS)
    assert len(continuous(below, ROLLS, method="difference")) == 80


# --- the page -----------------------------------------------------------------------------


def daily(folder: Path, symbol: str, prices: Any, volumes: Any = 1.0, **changes: Any) -> None:
    """Write daily bars from 2025-01-01 on that open and close at these prices."""
    opens = FIRST_S + DAY_S * np.arange(len(prices))
    rows = np.column_stack([opens, *[prices] * 4, np.broadcast_to(volumes, len(prices))])
    write(
        folder, len(rows), symbol=symbol, timeframe="1D",
        table=make_table(rows, has_volume=np.full(len(rows), True)),
        instrument=Instrument(timezone="Etc/UTC", session_hours="24x7"), **changes,
    )  # fmt: skip


def test_the_recipes_of_the_page_give_what_they_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, 300)
    raw = np.array([400.0, 404.0, 102.0, 103.0])
    daily(tmp_path, "NASDAQ:AAPL", raw, adjustment="none")
    daily(tmp_path, "NASDAQ:AAPL", raw / [4, 4, 1, 1], adjustment="splits")
    daily(tmp_path, "CME_MINI:ESH2025", np.arange(100.0, 120.0), np.full(20, 10.0))
    daily(tmp_path, "CME_MINI:ESM2025", np.arange(110.0, 130.0), np.arange(20.0))
    daily(tmp_path, "XETR:SAP", np.array([100.0, 110.0, 121.0]))
    rates = np.column_stack([FIRST_S + 3600 * np.arange(60), *[1 + np.arange(60) / 100] * 4, np.zeros(60)])  # fmt: skip
    table = make_table(rates, has_volume=np.full(60, False))
    write(tmp_path, 60, symbol="FX:EURUSD", timeframe="1h", table=table)
    monkeypatch.setenv("OUTPUTS_URL", str(tmp_path))
    page = (ROOT / "docs" / "research" / "studies.md").read_text()
    study: dict[str, Any] = {}

    for block in re.findall(r"^```python\n(.*?)^```", page, re.M | re.S):
        assert block.count("\n") <= 30
        exec(block, study)

    assert len(study["scores"]) == 5
    both = study["both"]
    assert both["factor"].tolist() == [0.25, 0.25, 1, 1]
    assert both["return_adjusted"].iloc[2] == pytest.approx(102 / 101 - 1)
    assert both["return_raw"].iloc[2] == pytest.approx(102 / 404 - 1)
    assert study["splits"].index.tolist() == [both.index[2]]
    # On day 11 the next contract trades 11 for the first time.
    (roll,) = study["future"].attrs["rolls"]
    assert (roll["at"], roll["step"]) == ("2025-01-13T00:00:00+00:00", 121 / 111)
    # The first day closes at 24:00, when the rate of the 24th hour is known.
    assert study["priced"]["close_usd"].tolist()[:2] == [100 * 1.23, 110 * 1.47]
    assert study["priced"]["rate_age"].iloc[0] == pd.Timedelta(0)
