"""The bars that an engine gets, and those that are refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from datasets.errors import InvalidRequest
from datasets.research import load, to_backtesting, to_backtrader, to_vectorbt
from datasets.research.engines.engine_bars import (
    import_engine,
    require_one_basis,
    require_volume,
)
from tests.support.factories import bars_table
from tests.support.study_files import write


@pytest.fixture
def bars(tmp_path: Path) -> pd.DataFrame:
    """Ten hours of bars."""
    write(tmp_path, 10)
    loaded: pd.DataFrame = load("BINANCE:BTCUSDT", folder=tmp_path)
    return loaded


def test_a_forming_bar_is_refused(tmp_path: Path) -> None:
    write(tmp_path, 10, last_bar_final=False)
    bars = load("BINANCE:BTCUSDT", folder=tmp_path, closed=False)

    with pytest.raises(InvalidRequest, match="09:00.* was still forming .* leave out the last row"):
        to_backtesting(bars)
    assert len(to_backtesting(bars.iloc[:-1])) == 9


def test_bars_that_an_engine_would_misread_are_refused(bars: pd.DataFrame) -> None:
    hole = bars.assign(high=bars["high"].where(bars.index != bars.index[3]))
    refused = {
        "no time zone: bars.tz_localize": bars.tz_localize(None),
        "no column open": bars[["close"]],
        "strictly increasing": bars.iloc[::-1],
        "There are no bars": bars.iloc[:0],
        "03:00.* has no price": hole,
        "more than one column 'open'": pd.concat([bars, bars], axis=1),
    }

    for message, frame in refused.items():
        with pytest.raises(InvalidRequest, match=message):
            to_vectorbt(frame)


def test_a_missing_volume_is_refused_where_the_engine_needs_it(bars: pd.DataFrame) -> None:
    require_volume(bars, engine="An engine")
    hole = bars.assign(volume=bars["volume"].where(bars.index != bars.index[3]))

    for frame in (hole, bars.drop(columns="volume")):
        with pytest.raises(InvalidRequest, match="An engine needs a volume in each bar"):
            require_volume(frame, engine="An engine")


def test_series_of_two_adjustments_are_refused(tmp_path: Path, bars: pd.DataFrame) -> None:
    write(tmp_path, table=bars_table(10), n_bars=10, adjustment="dividends")
    other = load("BINANCE:BTCUSDT", adjustment="dividends", folder=tmp_path)

    require_one_basis({"a": bars, "b": bars})
    with pytest.raises(InvalidRequest, match=r"differ in adjustment \(a: splits, b: dividends\)"):
        require_one_basis({"a": bars, "b": other})


def test_an_engine_that_is_not_installed_is_named_with_the_line_that_installs_it(
    bars: pd.DataFrame,
) -> None:
    with pytest.raises(InvalidRequest, match="pip install backtrader"):
        to_backtrader(bars)
    with pytest.raises(InvalidRequest, match="pip install an-engine"):
        import_engine("an_engine.feeds", "an-engine")
    assert import_engine("json", "json").__name__ == "json"


def test_bars_without_their_attrs_are_refused_where_the_engine_needs_a_fact(
    bars: pd.DataFrame,
) -> None:
    bars.attrs.clear()

    with pytest.raises(InvalidRequest, match="do not say their timeframe: their attrs are gone"):
        to_backtrader(bars)
