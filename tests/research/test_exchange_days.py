"""Days, weeks and months as the exchange counts them: reported cases, with the right values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from datasets.bars import BarLength
from datasets.calendars import Calendar, bar_days
from datasets.errors import InvalidRequest
from datasets.research import align, close_times, load, resample
from datasets.research.dataframes import index_ms
from tests.support.factories import bars_table
from tests.support.recordings import case
from tests.support.study_files import write

SAO_PAULO = {"session_hours": "1000-1700", "timezone": "America/Sao_Paulo"}
HONG_KONG = {
    "session_hours": "0930-1200A0900E0920-1206U1300-1600E1300-1611",
    "timezone": "Asia/Hong_Kong",
}
GOLD = {"session_hours": "1800-1700", "timezone": "America/New_York"}
NEW_YORK = {"session_hours": "0930-1600", "timezone": "America/New_York"}


def frame(times: Any, timeframe: str, **facts: str) -> pd.DataFrame:
    """Return bars that open at these instants; each closes at the number of its row."""
    index = pd.DatetimeIndex(times, name="time")
    index = index if index.tz is None else index.tz_convert("UTC").tz_localize(None)
    # A copy of the values has no frequency.
    index = pd.DatetimeIndex(index.to_numpy(), name="time").tz_localize("UTC").as_unit("ms")
    bars = pd.DataFrame({"close": np.arange(float(len(index)))}, index=index)
    bars.attrs.update(timeframe=timeframe, **facts)
    return bars


def hours_of(day: str, first: str, last: str, zone: str, step: str = "1h") -> pd.DatetimeIndex:
    return pd.date_range(f"{day} {first}", f"{day} {last}", freq=step, tz=zone)


def joined(*parts: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(np.concatenate([part.tz_convert("UTC") for part in parts]))


def case_frame(name: str) -> pd.DataFrame:
    """Return the bars of a case's file."""
    resolved, update = json.loads(case(f"{name}.json").read_text())
    facts, rows = resolved["p"][2], [one["v"] for one in update["p"][1]["s1"]["s"]]
    times = np.array([row[0] for row in rows]).astype("M8[s]")
    timeframe = {"60": "1h"}.get(name.partition("@")[2], name.partition("@")[2])
    bars = frame(times, timeframe, session_hours=facts["session"], timezone=facts["timezone"])
    return bars.assign(close=[row[4] for row in rows])


def test_an_evening_session_outside_the_stated_hours_makes_a_day() -> None:
    hours = case_frame("nifty_muhurat@60")
    own_days = case_frame("nifty_muhurat@1D")

    days = resample(hours, "1D")

    assert days["close"].loc["2024-11-01"].tolist() == [24304.35]
    same = own_days["close"].loc[days.index]
    assert days["close"].tolist() == same.tolist()
    for weeks in (resample(hours, "1W"), resample(days, "1W"), resample(own_days, "1W")):
        assert weeks["close"].loc["2024-10-28":"2024-10-28"].tolist() == [24304.35]
    # An hour from 18:00 on, and no row is known before its last bar has closed.
    assert days["close_time"].loc["2024-11-01"].tolist() == [pd.Timestamp("2024-11-01T13:30Z")]


def test_the_night_of_friday_belongs_to_monday_in_shanghai() -> None:
    hours = case_frame("shfe_au@60")
    calendar = Calendar(str(hours.attrs["session_hours"]), "Asia/Shanghai")

    days = bar_days(index_ms(hours), calendar, BarLength(60, "m"))

    by_day = hours.groupby(days.dates.view("M8[D]"))["close"].agg(["first", "size"])
    assert by_day.index.min() == pd.Timestamp("2025-03-03")
    assert set(by_day.index.day_name()) == {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday"}  # type: ignore[attr-defined]
    assert set(by_day["size"]) == {11}
    assert resample(hours, "1D")["close"].tolist() == case_frame("shfe_au@1D")["close"].tolist()


def test_a_daily_bar_stamped_between_two_sessions_belongs_to_the_next_date() -> None:
    stamps = pd.date_range("2025-03-02 17:00", "2025-04-03 17:00", freq="D", tz="America/New_York")
    days = frame(stamps[stamps.day_of_week.isin([0, 1, 2, 3, 6])], "1D", **GOLD)

    months = resample(days, "1M")

    # The bar that is stamped on Sunday, 30 March, is that of Monday, 31 March.
    assert months["close"].tolist() == [days["close"].loc["2025-03-30"].iloc[0]]
    assert months.index[0] == days.index[0]


@pytest.mark.parametrize(
    ("target", "opens"),
    [
        ("1h", ["09:30", "10:00", "11:00", "13:00", "14:00", "15:00"]),
        ("4h", ["09:30", "13:00"]),
    ],
)
def test_the_bars_of_hong_kong_open_as_tradingviews_own(target: str, opens: list[str]) -> None:
    zone = HONG_KONG["timezone"]
    days = [
        joined(
            hours_of(day, "09:30", "11:45", zone, "15min"),
            hours_of(day, "13:00", "15:45", zone, "15min"),
        )
        for day in ("2025-03-03", "2025-03-04")
    ]

    bars = resample(frame(joined(*days), "15", **HONG_KONG), target)

    assert pd.DatetimeIndex(bars.index).tz_convert(zone).strftime("%H:%M").tolist() == opens * 2


def test_tokyo_keeps_one_grid_over_its_lunch_break() -> None:
    facts = {
        "session_hours": "0900-1530",
        "session_display": "0900-1130,1230-1530",
        "timezone": "Asia/Tokyo",
    }
    times = joined(
        hours_of("2025-03-03", "09:00", "11:25", "Asia/Tokyo", "5min"),
        hours_of("2025-03-03", "12:30", "15:25", "Asia/Tokyo", "5min"),
    )

    bars = resample(frame(times, "5", **facts), "1h")

    opened = pd.DatetimeIndex(bars.index).tz_convert("Asia/Tokyo").strftime("%H:%M").tolist()
    assert opened == ["09:00", "10:00", "11:00", "12:30", "13:00", "14:00", "15:00"]


def winter_in_sao_paulo(n_days: int) -> pd.DataFrame:
    """Return hours from 10:00 to 18:00, an hour longer than the stated hours."""
    days = pd.bdate_range("2025-01-06", periods=n_days)
    zone = SAO_PAULO["timezone"]
    times = [hours_of(f"{day:%Y-%m-%d}", "10:00", "17:00", zone) for day in days]
    return frame(joined(*times), "1h", **SAO_PAULO)


def test_trade_after_the_stated_end_belongs_to_its_day() -> None:
    hours = winter_in_sao_paulo(10)

    days, weeks = resample(hours, "1D"), resample(hours, "1W")

    last = hours["close"].groupby(hours.index.date).last()  # type: ignore[attr-defined]
    assert days["close"].tolist() == last.tolist()[:-1]
    closed = pd.DatetimeIndex(days["close_time"]).tz_convert(SAO_PAULO["timezone"])
    assert set(closed.strftime("%H:%M")) == {"18:00"}
    pd.testing.assert_frame_equal(weeks, resample(days, "1W"), check_flags=False)
    assert weeks["close"].tolist() == [last.iloc[4]]
    # The afternoon's bar of four hours ends with the trade.
    assert resample(hours, "4h")["close"].tolist()[1::2] == last.tolist()
    joined_rows = align(hours, days)
    assert joined_rows["close_1D"].iloc[8 + 6] == last.iloc[0]
    assert joined_rows["close_1D"].iloc[8 * 2 - 1] == last.iloc[1]
    assert joined_rows["close_1D"].iloc[8 * 2 - 2] == last.iloc[0]


def test_a_day_is_not_complete_while_trade_usually_goes_on() -> None:
    hours = winter_in_sao_paulo(5)

    # The last bar ends with the stated hours; on the days before, another bar followed.
    assert len(resample(hours.iloc[:-1], "1D")) == 4
    assert len(resample(hours.iloc[:-1], "1W")) == 0


def test_a_half_day_closes_early() -> None:
    facts = NEW_YORK | {"session_correction": "0930-1300:20241129", "session_holidays": "20241128"}
    days = frame(["2024-11-27T14:30", "2024-11-29T14:30", "2024-12-02T14:30"], "1D", **facts)

    closes = close_times(days)

    assert closes.tolist()[1] == pd.Timestamp("2024-11-29T18:00Z")
    hours = frame(pd.date_range("2024-11-29T14:30Z", periods=4, freq="h"), "1h", **facts)
    assert resample(hours, "1D")["close_time"].tolist() == [pd.Timestamp("2024-11-29T18:00Z")]


def test_a_month_that_begins_on_a_weekend_is_whole() -> None:
    days = pd.bdate_range("2024-12-02", "2025-01-31")
    bars = frame(days + pd.Timedelta("14h30min"), "1D", **NEW_YORK)

    months = resample(bars, "1M")

    assert months.index.strftime("%Y-%m").tolist() == ["2024-12", "2025-01"]  # type: ignore[attr-defined]
    assert months["close_time"].iloc[1] == pd.Timestamp("2025-01-31T21:00Z")


@pytest.mark.parametrize("holidays", ["20250101", ""])
def test_a_month_that_begins_with_a_holiday_is_whole_where_the_holiday_is_known(
    holidays: str,
) -> None:
    days = pd.bdate_range("2025-01-02", "2025-01-31")
    bars = frame(days + pd.Timedelta("14h30min"), "1D", **NEW_YORK, session_holidays=holidays)

    assert len(resample(bars, "1M")) == bool(holidays)


def test_a_week_that_ended_on_friday_is_whole_on_saturday() -> None:
    days = pd.bdate_range("2025-01-06", "2025-01-10")
    bars = frame(days + pd.Timedelta("14h30min"), "1D", **NEW_YORK)

    assert resample(bars, "1W")["close_time"].tolist() == [pd.Timestamp("2025-01-10T21:00Z")]
    assert resample(bars.iloc[:-1], "1W").empty


@pytest.mark.parametrize("hours", ["0945-1725:12345", "1;0945-1725:12345"])
def test_a_week_from_sunday_to_thursday_begins_on_sunday(hours: str) -> None:
    days = pd.date_range("2025-01-05", periods=12, freq="D")
    days = days[days.day_of_week.isin([6, 0, 1, 2, 3])]
    stamps = (days + pd.Timedelta("9h45min")).tz_localize("Asia/Jerusalem")

    weeks = resample(frame(stamps, "1D", session_hours=hours, timezone="Asia/Jerusalem"), "1W")

    assert weeks.index.tz_convert("Asia/Jerusalem").strftime("%a").tolist() == ["Sun", "Sun"]  # type: ignore[attr-defined]
    assert weeks["close"].tolist() == [4.0, 9.0]


def test_bars_of_clock_hours_count_into_the_session_that_they_reach() -> None:
    parts = [hours_of(f"2025-01-{day:02}", "09:00", "15:00", "America/New_York") for day in (6, 7)]

    days = resample(frame(joined(*parts), "1h", **NEW_YORK), "1D")

    assert days["close"].tolist() == [6.0, 13.0]
    assert days.index.tolist() == [pd.Timestamp("2025-01-06T14:30Z"), pd.Timestamp("2025-01-07T14:30Z")]  # fmt: skip


@pytest.mark.parametrize("facts", [GOLD, {"session_hours": "24x7", "timezone": "Etc/UTC"}])
def test_a_forming_day_gives_the_close_of_the_day_before(facts: dict[str, str]) -> None:
    start = pd.Timestamp("2025-01-06 18:00", tz="America/New_York")
    if facts is not GOLD:
        start = pd.Timestamp("2025-01-06", tz="UTC")
    days = frame(pd.date_range(start, periods=4, freq="D"), "1D", **facts)
    hours = frame(pd.date_range(start, periods=96, freq="h"), "1h", **facts)
    forming = days.copy()
    forming.attrs["edge"] = {"forming": str(days.index[-1].isoformat())}

    with_forming, without = align(hours, forming), align(hours, days.iloc[:3])

    morning = days.index[3] + pd.Timedelta("14h")
    assert with_forming["close_1D"].loc[morning] == 2.0
    # Without the forming bar nothing says when the third day ended, where its session is overnight.
    assert without["close_1D"].loc[morning] == (2.0 if facts is not GOLD else 1.0)


def test_rows_that_pandas_aggregated_are_refused_though_two_are_neighbours() -> None:
    hours = frame(pd.date_range("2025-01-06", periods=72, freq="h"), "1h", session_hours="24x7", timezone="UTC")  # fmt: skip
    days = hours.resample("1D").last()

    with pytest.raises(InvalidRequest, match="too far apart"):
        close_times(days)


def test_any_slice_of_an_illiquid_series_is_taken(tmp_path: Path) -> None:
    """No two minutes are neighbours."""
    write(tmp_path, table=bars_table(60, step=420), timeframe="1", n_bars=60)
    bars = load("BINANCE:BTCUSDT", "1", folder=tmp_path)

    for part in (bars, bars.iloc[7:40], bars["close"].iloc[:9]):
        assert (close_times(part) - part.index == pd.Timedelta("1min")).all()
    assert len(align(bars, resample(bars, "1h"))) == 60
    for aggregated in (bars.resample("15min").last(), bars.iloc[::3]):
        with pytest.raises(InvalidRequest, match="too far apart"):
            close_times(aggregated)
