"""`align` with a table that says when its rows were known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.errors import InvalidRequest
from datasets.research import align, close_times, load
from tests.support.study_files import write

START = pd.Timestamp("2025-01-01T00:00Z")


def announcements(*hours: float | None) -> pd.DataFrame:
    """Return a table with a row known this number of hours after the first bar's opening."""
    known = [pd.NaT if hour is None else START + pd.Timedelta(hours=hour) for hour in hours]
    return pd.DataFrame(
        {"known": pd.to_datetime(pd.Series(known), utc=True), "value": np.arange(float(len(hours)))}
    )


def test_a_row_is_used_from_the_bar_on_that_closes_when_the_row_is_known(tmp_path: Path) -> None:
    write(tmp_path, 8)
    bars = load("BINANCE:BTCUSDT", folder=tmp_path)
    news = announcements(2, 4.5)

    by_close = align(bars, news, known_at="known")
    by_open = align(bars, news, known_at="known", at="open")

    nan = np.nan
    np.testing.assert_array_equal(by_close["value"], [nan, 0, 0, 0, 1, 1, 1, 1])
    np.testing.assert_array_equal(by_open["value"], [nan, nan, 0, 0, 0, 1, 1, 1])
    assert list(by_close) == [*bars, "value"]
    assert by_close.attrs == bars.attrs


def test_rows_may_be_in_any_order_and_the_later_one_of_an_instant_counts(tmp_path: Path) -> None:
    write(tmp_path, 6)
    bars = load("BINANCE:BTCUSDT", folder=tmp_path)

    joined = align(bars, announcements(5, 2, None, 2, 3), known_at="known", suffix="_news")

    np.testing.assert_array_equal(joined["value_news"], [np.nan, 3, 4, 4, 0, 0])


def test_a_row_is_not_known_a_part_of_a_millisecond_early(tmp_path: Path) -> None:
    write(tmp_path, 4)
    news = announcements(2, 3)
    news["known"] = news["known"].dt.as_unit("ns") + pd.Timedelta(1, "ns")

    joined = align(load("BINANCE:BTCUSDT", folder=tmp_path), news, known_at="known")

    np.testing.assert_array_equal(joined["value"], [np.nan, np.nan, 0, 1])


def test_texts_and_zones_of_a_table_are_kept(tmp_path: Path) -> None:
    write(tmp_path, 4)
    bars = load("BINANCE:BTCUSDT", folder=tmp_path)
    # 02:00 and 03:00 in UTC; without a zone the times count as UTC.
    known = pd.DatetimeIndex(["2024-12-31 21:00", "2024-12-31 22:00"])
    news = pd.DataFrame({"known": known.tz_localize("America/New_York"), "rating": ["A", "B"]})

    joined = align(bars, news, known_at="known", columns=["rating", "known"])
    naive = align(bars, news.assign(known=known + pd.Timedelta("5h")), known_at="known")

    assert joined["rating"].tolist()[1:] == ["A", "B", "B"]
    assert joined["rating"].isna().tolist() == [True, False, False, False]
    assert joined["known"].iloc[-1] == pd.Timestamp("2025-01-01T03:00Z")
    assert naive["rating"].equals(joined["rating"])


def test_a_table_without_a_known_row_gives_nothing(tmp_path: Path) -> None:
    write(tmp_path, 4)
    bars = load("BINANCE:BTCUSDT", folder=tmp_path)

    for news in (announcements(), announcements(100), announcements(None)):
        assert align(bars, news, known_at="known")["value"].isna().all()


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"known_at": "when"}, "known_at"),
        ({"known_at": "value"}, "known_at"),
        ({"known_at": "known", "columns": ["price"]}, "columns"),
        ({"known_at": "known", "columns": ["close"]}, "suffix"),
    ],
)
def test_a_wrong_argument_is_named(tmp_path: Path, options: dict[str, Any], field: str) -> None:
    write(tmp_path, 4)
    news = announcements(1, 2).assign(close=1.0)

    with pytest.raises(InvalidRequest) as refused:
        align(load("BINANCE:BTCUSDT", folder=tmp_path), news, **options)

    assert list(refused.value.errors) == [field]


@settings(max_examples=60)
@given(st.lists(st.one_of(st.none(), st.integers(-5, 30)), max_size=20), st.integers(0, 24))
def test_rows_that_become_known_later_change_no_earlier_bar(
    hours: list[int | None], cut: int
) -> None:
    index = pd.date_range(START, periods=24, freq="1h", unit="ms", name="time")
    bars = pd.DataFrame({"close": np.arange(24.0)}, index=index)
    bars.attrs.update(timeframe="1h", session_hours="24x7", timezone="Etc/UTC")
    news = announcements(*hours)
    now = START + pd.Timedelta(hours=cut)

    whole = align(bars, news, known_at="known")
    seen = align(bars, news[news["known"] < now], known_at="known")

    known = close_times(bars) < now
    pd.testing.assert_frame_equal(whole[known], seen[known])
