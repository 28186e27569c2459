"""`resample` and `align`, without a look into the future."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from datasets.bars import BarLength
from datasets.calendars import Calendar, bar_days
from datasets.errors import InvalidRequest
from datasets.research import align, close_times, load, load_panel, resample, to_backtesting
from datasets.research.dataframes import index_ms
from tests.support.factories import bars_table
from tests.support.study_files import NOW, write, write_sample

COLUMNS = ["open", "high", "low", "close", "volume"]


@pytest.mark.parametrize(
    ("symbol", "base", "target"),
    [
        ("BINANCE:BTCUSDT", "1", "45"),
        ("BINANCE:BTCUSDT", "15", "4h"),
        ("BINANCE:BTCUSDT", "1h", "1D"),
        ("BINANCE:BTCUSDT", "1h", "1W"),
        ("BINANCE:BTCUSDT", "1D", "1M"),
        ("NASDAQ:AAPL", "5", "1h"),
        ("NASDAQ:AAPL", "30", "4h"),
        ("NASDAQ:AAPL", "15", "1D"),
        ("NASDAQ:AAPL", "1D", "1W"),
        ("NASDAQ:AAPL", "1D", "1M"),
        ("TSE:7203", "5", "1h"),
        ("TSE:7203", "30", "1D"),
        ("HOSE:VCB", "15", "2h"),
        ("NSE:RELIANCE", "15", "1D"),
        ("FX_IDC:EURUSD", "1h", "4h"),
        ("FX_IDC:EURUSD", "1h", "1D"),
        ("FX_IDC:EURUSD", "1h", "1W"),
        ("CME_MINI:ES1!", "15", "4h"),
        ("CME_MINI:ES1!", "1h", "1D"),
        ("CME_MINI:ES1!", "1D", "1W"),
        ("CME_MINI:ES1!", "1D", "1M"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("now", [NOW, datetime(2025, 11, 6, 15, 7, tzinfo=UTC)])
def test_resampled_bars_are_the_feeds_own_longer_bars(
    tmp_path: Path, symbol: str, base: str, target: str, now: datetime
) -> None:
    write_sample(tmp_path, symbol, base, 3000, now=now)
    write_sample(tmp_path, symbol, target, 3000, now=now)
    theirs = load(symbol, target, source="sample", folder=tmp_path)

    bars = load(symbol, base, source="sample", folder=tmp_path)
    ours = resample(bars, target)

    # All of the feed's bars within our shorter bars, without the last ones that may still be forming.
    assert len(ours) >= 5
    same = theirs.loc[ours.index[0] : ours.index[-1]]
    assert ours.index.equals(same.index)
    assert len(theirs.loc[ours.index[-1] :]) <= 2
    pd.testing.assert_frame_equal(ours[COLUMNS], same[COLUMNS], check_flags=False)
    # No row was known before its last short bar had closed, or later than the next opening.
    row = ours.index.searchsorted(bars.index, "right") - 1
    is_in = (row >= 0) & (row < len(ours) - 1)
    last_close = close_times(bars)[is_in].groupby(row[is_in]).max()
    assert (ours["close_time"].iloc[last_close.index].to_numpy() >= last_close.to_numpy()).all()
    assert (ours["close_time"].iloc[:-1].to_numpy() <= ours.index[1:].to_numpy()).all()


def test_a_day_closes_with_the_exchange(tmp_path: Path) -> None:
    write_sample(tmp_path, "NASDAQ:AAPL", "1h", 300)

    days = resample(load("NASDAQ:AAPL", "1h", source="sample", folder=tmp_path), "1D")

    local = pd.DatetimeIndex(days["close_time"]).tz_convert("America/New_York")
    assert set(local.strftime("%H:%M")) == {"16:00"}
    assert days.index[-1] == pd.Timestamp("2026-01-09T14:30Z")
    assert days.attrs["timeframe"] == "1D"
    assert days.attrs["made_from"] == "1h"


def test_only_complete_bars_are_returned(tmp_path: Path) -> None:
    table = bars_table(50, start=1_735_700_400)  # from 03:00
    write(tmp_path, table=table, n_bars=50, fetched_at=datetime(2025, 1, 3, 5, tzinfo=UTC))

    days = resample(load("BINANCE:BTCUSDT", folder=tmp_path), "1D")

    # The first day lacks three hours; the third is still forming: 50 hours end at 05:00.
    assert days.index.tolist() == [pd.Timestamp("2025-01-02T00:00Z")]


def test_a_forming_bar_is_not_aggregated(tmp_path: Path) -> None:
    write(tmp_path, 48, last_bar_final=False)
    bars = load("BINANCE:BTCUSDT", closed=False, folder=tmp_path)

    assert len(bars) == 48
    assert len(resample(bars, "1D")) == 1
    assert len(resample(bars, "2h")) == 23


def test_a_day_that_had_ended_when_it_was_fetched_is_complete(tmp_path: Path) -> None:
    # A short day: the last hour of trade is missing, as before a holiday.
    table = bars_table(47)
    write(tmp_path, table=table, n_bars=47, fetched_at=datetime(2025, 1, 3, 9, tzinfo=UTC))
    bars = load("BINANCE:BTCUSDT", folder=tmp_path)

    assert len(resample(bars, "1D")) == 2
    # For a part of the bars this is not known.
    assert len(resample(bars.iloc[:-1], "1D")) == 1


def test_a_day_may_go_on_as_long_as_the_clock_of_the_fetch_may_be_wrong(tmp_path: Path) -> None:
    # The last hour is missing, and half an hour after it by a clock that may be an hour fast.
    fetched_at = datetime(2025, 1, 3, 0, 30, tzinfo=UTC)
    write(tmp_path, table=bars_table(47), n_bars=47, fetched_at=fetched_at)

    assert len(resample(load("BINANCE:BTCUSDT", folder=tmp_path), "1D")) == 1


def test_an_unknown_volume_makes_the_sum_unknown(tmp_path: Path) -> None:
    write(tmp_path, 48)
    bars = load("BINANCE:BTCUSDT", folder=tmp_path)
    bars.iloc[5, bars.columns.get_loc("volume")] = np.nan

    days = resample(bars, "1D")

    assert days["volume"].isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("base", "target"), [("1h", "1h"), ("1h", "30"), ("45", "1h"), ("1D", "4h"), ("1W", "1M")]
)
def test_bars_that_do_not_add_up_are_refused(tmp_path: Path, base: str, target: str) -> None:
    write(tmp_path, 2, timeframe=base)

    with pytest.raises(InvalidRequest, match="do not add up"):
        resample(load("BINANCE:BTCUSDT", base, folder=tmp_path), target)


def test_unknown_hours_must_be_given(tmp_path: Path) -> None:
    write(tmp_path, 48)
    bars = load("BINANCE:BTCUSDT", folder=tmp_path)
    bars.attrs["session_hours"] = ""

    with pytest.raises(InvalidRequest, match="pass hours="):
        resample(bars, "1D")
    assert len(resample(bars, "1D", hours="24x7")) == 2
    assert resample(bars.iloc[:0], "1D", hours="24x7").empty


def test_resampling_twice_is_resampling_once(tmp_path: Path) -> None:
    write(tmp_path, 500, fetched_at=datetime(2025, 1, 21, 20, tzinfo=UTC))
    bars = load("BINANCE:BTCUSDT", folder=tmp_path)

    once, twice = resample(bars, "1D"), resample(resample(bars, "4h"), "1D")

    pd.testing.assert_frame_equal(once, twice, check_flags=False)
    assert twice.attrs["made_from"] == "1h"


# --- beside each other --------------------------------------------------------------------


def test_a_day_is_seen_only_after_it_has_closed(tmp_path: Path) -> None:
    for timeframe in ("1h", "1D"):
        write_sample(tmp_path, "NASDAQ:AAPL", timeframe, 100)
    hours = load("NASDAQ:AAPL", "1h", source="sample", folder=tmp_path)
    days = load("NASDAQ:AAPL", "1D", source="sample", folder=tmp_path)

    joined = align(hours, days, columns=["close"])

    assert joined.columns.tolist() == [*hours.columns, "close_1D"]
    today = joined.loc["2026-01-09"]
    # The last hour closes with the day, so it gets this day; earlier hours get the day before.
    assert today["close_1D"].tolist() == [days["close"].iloc[-2]] * 6 + [days["close"].iloc[-1]]
    assert (
        align(hours, days, at="open").loc["2026-01-09", "close_1D"] == days["close"].iloc[-2]
    ).all()


def test_before_the_first_close_nothing_is_known(tmp_path: Path) -> None:
    write(tmp_path, 72)
    hours = load("BINANCE:BTCUSDT", folder=tmp_path)

    joined = align(hours["close"], resample(hours, "1D"), suffix="_day")

    assert joined["close_day"].isna().sum() == 23
    assert joined["close_day"].iloc[23] == hours["close"].iloc[23]
    assert joined.index.equals(hours.index)
    assert align(hours, resample(hours, "1D").iloc[:0])["close_1D"].isna().all()


def test_a_forming_day_is_never_joined(tmp_path: Path) -> None:
    now = datetime(2026, 1, 8, 20, 45, tzinfo=UTC)
    for timeframe in ("1h", "1D"):
        write_sample(tmp_path, "NASDAQ:AAPL", timeframe, 50, now=now)
    hours = load("NASDAQ:AAPL", "1h", source="sample", closed=False, folder=tmp_path)
    days = load("NASDAQ:AAPL", "1D", source="sample", closed=False, folder=tmp_path)

    joined = align(hours, days)

    assert hours.index[-1] == pd.Timestamp("2026-01-08T20:30Z")
    assert joined["close_1D"].iloc[-1] == days["close"].iloc[-2]


def test_a_longer_bar_is_seen_from_its_close_on_to_the_minute(tmp_path: Path) -> None:
    for timeframe, step in [("1", 60), ("1h", 3600)]:
        write(tmp_path, table=bars_table(180, step=step), n_bars=180, timeframe=timeframe)
    minutes = load("BINANCE:BTCUSDT", "1", folder=tmp_path)
    hours = load("BINANCE:BTCUSDT", "1h", folder=tmp_path)

    by_close, by_open = (align(minutes, hours, at=at)["close_1h"] for at in ("close", "open"))

    # The minute that closes with the hour is the first with this hour's row.
    assert [by_close.notna().argmax(), by_open.notna().argmax()] == [59, 60]
    assert by_close.iloc[118] == by_close.iloc[59] == hours["close"].iloc[0]
    assert by_close.iloc[119] == hours["close"].iloc[1]


def test_a_panel_by_its_closes_can_be_joined(tmp_path: Path) -> None:
    names = ["NASDAQ:AAPL", "BINANCE:BTCUSDT"]
    for name in names:
        for timeframe in ("1h", "1D"):
            write_sample(tmp_path, name, timeframe, 60)
    where: dict[str, Any] = {"source": "sample", "index": "close_time", "folder": tmp_path}
    hours, days = load_panel(names, "1h", **where), load_panel(names, "1D", **where)

    joined = align(hours, days)

    for name in names:
        closes = load(name, "1D", columns="close", source="sample", folder=tmp_path)["close"]
        closed = close_times(closes)
        assert (days[name].dropna().to_numpy() == closes.to_numpy()).all()
        for instant, seen in joined[f"{name}_1D"].dropna().items():
            assert seen == closes[closed <= instant].iloc[-1]
    with pytest.raises(InvalidRequest, match="when they closed and not when they opened"):
        align(hours, days, at="open")


def test_features_of_a_longer_timeframe_can_be_joined(tmp_path: Path) -> None:
    write(tmp_path, 240)
    hours = load("BINANCE:BTCUSDT", folder=tmp_path)
    days = resample(hours, "1D")
    features = pd.DataFrame(
        {"mean": days["close"].rolling(3).mean(), "close_time": days["close_time"]}
    )

    joined = align(hours, features, suffix="_daily")

    assert joined["mean_daily"].iloc[95] == pytest.approx(days["close"].iloc[1:4].mean())
    assert "close_time_daily" not in joined
    assert align(hours, days, columns="close").columns[-1] == "close_1D"
    with pytest.raises(InvalidRequest, match="use close or open"):
        align(hours, days, at="noon")  # type: ignore[arg-type]


def test_one_column_is_resampled_and_other_types_than_pandas_are_refused(tmp_path: Path) -> None:
    write(tmp_path, 72)
    bars = load("BINANCE:BTCUSDT", folder=tmp_path)
    table = load("BINANCE:BTCUSDT", as_="arrow", folder=tmp_path)

    assert resample(bars["close"], "1D").equals(resample(bars, "1D")[["close", "close_time"]])
    for wrong in (table, None):
        with pytest.raises(InvalidRequest, match="no frame of pandas; use as_='pandas'"):
            resample(wrong, "1D")  # type: ignore[arg-type]
        with pytest.raises(InvalidRequest, match="higher is a .* no frame of pandas"):
            align(bars, wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"columns": ["typical"]}, "columns"),
        ({"columns": ["close_time"]}, "columns"),
        ({"suffix": ""}, "suffix"),
        ({"at": "noon"}, "at"),
    ],
)
def test_a_wrong_argument_is_named(tmp_path: Path, options: dict[str, Any], field: str) -> None:
    write(tmp_path, 72)
    hours = load("BINANCE:BTCUSDT", folder=tmp_path)

    with pytest.raises(InvalidRequest) as refused:
        align(hours, resample(hours, "1D"), **options)

    assert list(refused.value.errors) == [field]


def test_two_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, 72)
    hours = load("BINANCE:BTCUSDT", folder=tmp_path)
    days = resample(hours, "1D")

    with pytest.raises(InvalidRequest, match="more than one column 'open'"):
        resample(pd.concat([hours, hours], axis=1), "1D")
    with pytest.raises(InvalidRequest, match="more than one column 'open'"):
        align(hours, pd.concat([days, days], axis=1))
    with pytest.raises(InvalidRequest, match="more than one column 'open'"):
        to_backtesting(pd.concat([hours, hours], axis=1))


# A night session on Friday belongs to Monday.
OSAKA = {"hours": "1630-0530,0845-1515", "timezone": "Asia/Tokyo"}


def osaka_hours() -> pd.DataFrame:
    """Return two weeks of hourly bars in Osaka's trading hours, from a Monday's night session on."""
    index = pd.date_range("2025-01-06T07:30Z", periods=24 * 14, freq="1h", name="time")
    local = index.tz_convert("Asia/Tokyo")
    opened = local.hour * 60 + local.minute
    is_open = ((opened >= 990) & (local.day_of_week < 5)) | (
        (opened < 330) & (local.day_of_week.isin([1, 2, 3, 4, 5]))
    )
    is_open |= (opened >= 510) & (opened < 915) & (local.day_of_week < 5)
    index = index[is_open]
    values = np.arange(len(index) * 5, dtype=float).reshape(-1, 5)
    bars = pd.DataFrame(values, index=index, columns=COLUMNS)
    bars.attrs.update(timeframe="1h", session_hours=OSAKA["hours"], timezone=OSAKA["timezone"])
    return bars


def test_a_night_session_on_friday_belongs_to_monday() -> None:
    bars = osaka_hours()

    days, weeks = resample(bars, "1D"), resample(bars, "1W")

    opened = pd.DatetimeIndex(days.index).tz_convert("Asia/Tokyo")
    closed = pd.DatetimeIndex(days["close_time"]).tz_convert("Asia/Tokyo")
    assert opened.strftime("%a %H:%M").tolist()[:5] == [
        f"{day} 16:30" for day in ("Mon", "Tue", "Wed", "Thu", "Fri")
    ]
    assert closed.strftime("%a %H:%M").tolist()[:5] == [
        f"{day} 15:15" for day in ("Tue", "Wed", "Thu", "Fri", "Mon")
    ]
    # No bar of Friday's night counts into the week before, whether built from hours or from days.
    monday = days.index[opened.strftime("%a") == "Fri"][0]
    assert weeks.index[-1] == monday
    assert weeks["open"].iloc[-1] == days.loc[monday, "open"]


# --- no look-ahead ------------------------------------------------------------------------

MARKETS = {"24x7": "Etc/UTC", "0930-1600": "America/New_York", "0900-1130,1230-1530": "Asia/Tokyo", "1800-1700": "America/New_York"}  # fmt: skip


@st.composite
def studies(draw: Any) -> tuple[pd.DataFrame, int, str]:
    """Return hourly bars with holes, a row before which nothing may change, and a timeframe."""
    hours = draw(st.sampled_from(sorted(MARKETS)))
    first = draw(st.integers(0, 24 * 14))
    kept = draw(st.lists(st.booleans(), min_size=30, max_size=200))
    offsets = first + np.flatnonzero([True, True, *kept])
    # Starts a week before summer time begins in New York.
    index = pd.DatetimeIndex(
        pd.Timestamp("2025-03-02T00:30Z") + offsets * pd.Timedelta("1h"), name="time"
    )
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = random.normal(100, 5, (len(index), 5))
    bars = pd.DataFrame(values, index=index, columns=COLUMNS)
    bars.attrs.update(timeframe="1h", session_hours=hours, timezone=MARKETS[hours])
    # The first trade after the stated end of a session cannot be expected.
    days = bar_days(index_ms(bars), Calendar(hours, MARKETS[hours]), BarLength(60, "m"))
    bars = bars[days.is_inside]
    # Rows of which no two are neighbours are refused.
    neighbours = np.flatnonzero(np.diff(index_ms(bars)) == 3_600_000)
    assume(len(neighbours))
    bars = bars.iloc[neighbours[0] :]
    cut = draw(st.integers(0, len(bars)))
    return bars, cut, draw(st.sampled_from(["2h", "6h", "1D", "2D", "1W", "2W"]))


@settings(max_examples=60)
@given(studies())
def test_changing_any_future_bar_never_changes_a_past_row(
    study: tuple[pd.DataFrame, int, str],
) -> None:
    bars, cut, timeframe = study
    closes = close_times(bars)
    changed = bars.copy()
    changed.iloc[cut:] += 1000
    # The rows that are known before the first changed bar has closed.
    now = closes.iloc[cut] if cut < len(bars) else pd.Timestamp("2100-01-01T00:00Z")

    before, after = resample(bars, timeframe), resample(changed, timeframe)
    joined, joined_after = align(bars, before), align(changed, after)

    known = before["close_time"] < now
    pd.testing.assert_frame_equal(before[known], after[known])
    pd.testing.assert_frame_equal(joined[closes < now], joined_after[closes < now])


@settings(max_examples=60)
@given(studies())
def test_known_rows_are_the_same_without_the_future(
    study: tuple[pd.DataFrame, int, str],
) -> None:
    """Cutting off the future removes rows that were not yet complete, and changes none."""
    bars, cut, timeframe = study
    seen_bars = bars.iloc[: max(cut, 1)]
    now = seen_bars.index[-1]
    whole, seen = resample(bars, timeframe), resample(seen_bars, timeframe)
    joined, joined_seen = align(bars, whole), align(seen_bars, seen)

    values = [name for name in COLUMNS if name in seen]
    pd.testing.assert_frame_equal(seen[values], whole.loc[seen.index, values])
    # With the future a row is known no later than without it, and by now the same rows are known.
    assert (whole.loc[seen.index, "close_time"] <= seen["close_time"]).all()
    assert set(whole.index[whole["close_time"] <= now]) == set(
        seen.index[seen["close_time"] <= now]
    )
    known = close_times(seen_bars) <= now
    pd.testing.assert_frame_equal(joined_seen[known], joined.loc[seen_bars.index][known])
