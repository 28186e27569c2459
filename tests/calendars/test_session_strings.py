"""The grammar of session strings: the documented forms, the recorded ones, and any other text."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.bars import BarLength
from datasets.calendars import Calendar, Clock, close_instants, find_gaps, find_windows
from datasets.calendars.session_strings import (
    parse_corrections,
    parse_dates,
    parse_session,
)

MONDAY, TUESDAY, FRIDAY, SATURDAY, SUNDAY = 0, 1, 4, 5, 6
DAY = 1440


def clock(text: str) -> int:
    return int(text[:2]) * 60 + int(text[2:])


@pytest.mark.parametrize(
    ("text", "weekday", "periods"),
    [
        ("24x7", SUNDAY, ((0, DAY),)),
        ("0930-1600", MONDAY, ((570, 960),)),
        ("0930-1600", SATURDAY, None),
        ("0930-1600:23456", FRIDAY, ((570, 960),)),
        ("0900-1130,1300-1500", MONDAY, ((540, 690), (780, 900))),
        # An end at or before the start: the session begins on the evening before.
        ("1700-1600", MONDAY, ((-420, 960),)),
        ("1700-1700", MONDAY, ((-420, 1020),)),
        ("1800-1700:23456", TUESDAY, ((-360, 1020),)),
        ("1700-1515,1530-1600", MONDAY, ((-420, 915), (930, 960))),
        ("2100-0230,0900-1015,1030-1130,1330-1500", MONDAY, ((-180, 150), (540, 615), (630, 690), (810, 900))),
        ("2100-2300,0900-1015", MONDAY, ((-180, -60), (540, 615))),
        # The whole of the same day, in two spellings; and an end on the next day.
        ("0000-0000", MONDAY, ((0, DAY),)),
        ("0000-2400", MONDAY, ((0, DAY),)),
        ("0930-2730", MONDAY, ((570, 1650),)),
        # Earlier days.
        ("1700F-2200", MONDAY, ((-420, 1320),)),
        ("1715F3-0300F2", MONDAY, ((1035 - 3 * DAY, 180 - 2 * DAY),)),
        ("1700F2-1200F1,1700-1600", FRIDAY, ((1020 - 2 * DAY, 720 - DAY), (-420, 960))),
        # Sections: the one that names the day wins.
        ("0900-1630|0900-1400:2", MONDAY, ((540, 840),)),
        ("0900-1400:2|0900-1630", MONDAY, ((540, 840),)),
        ("0900-1630|0900-1400:2", TUESDAY, ((540, 990),)),
        ("0930-1600|1000-1300:7", SATURDAY, ((600, 780),)),
        ("1700-1600:2345|1700-1500:6", FRIDAY, ((-420, 900),)),
        ("1700-1600:2345|1700-1500:6", SUNDAY, None),
        ("1900-1900:3456|1700F-1900:2", MONDAY, ((-420, 1140),)),
        ("1900-1900:3456|1700F-1900:2", TUESDAY, ((-300, 1140),)),
        ("0900-1200:2|1300-1500:2", MONDAY, ((540, 720), (780, 900))),
        # The first day of the week does not change the hours.
        ("1;0900-1630", MONDAY, ((540, 990),)),
        ("0900-1630;6", MONDAY, ((540, 990),)),
        # Letters of the recordings: `S` and `U` are commas, `A` and `E` begin an auction.
        ("0930-1200A0900E0920-1206U1300-1600E1300-1611", MONDAY, ((570, 720), (780, 960))),
        ("0900-1130S1300-1500", MONDAY, ((540, 690), (780, 900))),
    ],
)  # fmt: skip
def test_each_form_gives_its_periods_of_trade(
    text: str, weekday: int, periods: tuple[tuple[int, int], ...] | None
) -> None:
    hours = parse_session(text)

    assert hours is not None
    day = hours.eras[-1][1].days[weekday]
    assert (day and day.periods) == periods


@pytest.mark.parametrize(
    "text",
    [
        "", "x", "0930", "0930-1600:8", "0930-1600:", "2560-1600", "0960-1600", "0930-4800",
        "0900-1130,1000-1500", "0900-1200:2|1100-1500:2", "1;0900-1600;2", "8;0900-1600",
        "0930-1600#20260803", "0930-1600#20261303/0930-1500", "0930-1600/0930-1500",
        "0930-1600#20260803/0930-1500#20250101/0930-1400", "0930-1200X1300-1600", "٠٩٣٠-١٦٠٠",
    ],
)  # fmt: skip
def test_any_other_text_gives_unknown_hours_and_the_reason(text: str) -> None:
    calendar = Calendar(text, "Europe/Paris")

    assert parse_session(text) is None
    assert not calendar.is_known
    assert text in calendar.why_unknown
    assert len(calendar.sessions(0, 10**12)) == 0


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("0900-1630", MONDAY),
        ("1;0900-1630", SUNDAY),
        ("0900-1630;6", FRIDAY),
        ("24x7", MONDAY),
        ("1700-1700:1234567", MONDAY),
        # A market that rests on Friday begins its week after the rest.
        ("0945-1725:12345", SUNDAY),
        ("1000-1500:71234", SATURDAY),
    ],
)
def test_the_week_begins_on_the_day_that_the_string_names(text: str, first: int) -> None:
    assert Calendar(text, "UTC").first_weekday == first


def test_a_string_with_a_history_changes_with_a_week() -> None:
    calendar = Calendar("0915-1530#20260805/0915-1515", "Asia/Kolkata")

    # The fifth of August 2026 is a Wednesday; the next week begins on the tenth.
    start = int(date(2026, 8, 7).strftime("%s")) * 1000
    sessions = calendar.sessions(start - 86_400_000, start + 4 * 86_400_000)

    lengths = {
        date(1970, 1, 1) + timedelta(int(day)): (closed - opened) // 60_000
        for day, opened, closed in zip(sessions.dates, sessions.opens, sessions.closes, strict=True)
    }
    assert lengths[date(2026, 8, 7)] == clock("1530") - clock("0915")
    assert lengths[date(2026, 8, 10)] == clock("1515") - clock("0915")


def test_a_correction_is_valid_also_on_a_holiday() -> None:
    calendar = Calendar(
        "0930-1600",
        "Etc/UTC",
        holidays="20241128,20241129,20241225",
        corrections="0930-1300:20241129;1000-1200:20241130;dayoff:20241127",
    )

    sessions = calendar.sessions(1_732_492_800_000, 1_733_097_600_000)  # 25 November to 1 December

    days = {int(day) - int(sessions.dates[0]): n for n, day in enumerate(sessions.dates)}
    assert sorted(days) == [0, 1, 4, 5]  # Monday, Tuesday, Friday, Saturday
    assert sessions.closes[days[4]] - sessions.opens[days[4]] == 210 * 60_000
    assert [int(day) - int(sessions.dates[0]) for day in sessions.off_dates if day in (20054, 20055)] == [2, 3]  # fmt: skip


def test_a_trading_day_over_thanksgiving_begins_two_evenings_before() -> None:
    # Recorded: CME_MINI:NQZ2024 stamps the daily bar of 2024-11-29 with this instant.
    calendar = Calendar(
        "1700-1600",
        "America/Chicago",
        holidays="20241128,20241225",
        corrections="1700-1215:20241224;1700F2-1200F1,1700-1215:20241129",
    )

    sessions = calendar.sessions(1_732_700_000_000, 1_733_000_000_000)

    assert sessions.opens.tolist() == [1_732_748_400_000]
    assert str(sessions.dates.view("M8[D]")[0]) == "2024-11-29"


RECORDED_CORRECTIONS = [
    # AAPL, ES and HOSE, as the feed sent them.
    ("0930-1300:20190703,20241224,20271223;dayoff:20250109", 4),
    ("0400-2000:20211126,20221125;0400-2100:20190703,20191129", 4),
    ("1700-0815:20260403;1700-0830:20250109;1700F2-1200F1,1700-1215:20251128,20261127;1700F2-1200F1,1700-1600:20250121;1700F4-1200F3,1700-1600:20250707,20260622", 7),
    ("0900-1500:20250426", 1),
    ("", 0),
]  # fmt: skip


@pytest.mark.parametrize(("text", "n_days"), RECORDED_CORRECTIONS)
def test_the_recorded_corrections_are_read_whole(text: str, n_days: int) -> None:
    corrections = parse_corrections(text)

    assert corrections.is_whole
    assert len(corrections.days) == n_days


def test_a_correction_that_cannot_be_read_is_left_out_and_said() -> None:
    calendar = Calendar("0930-1600", "UTC", corrections="0930-1300:20241129;??:20241224;1:x")

    assert not calendar.has_all_corrections
    assert list(parse_corrections(calendar.corrections).days) == [20056]


# --- any text -----------------------------------------------------------------------------

minutes = st.tuples(st.integers(0, 23), st.integers(0, 59))


@st.composite
def days_of_trade(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Return periods of one date in order, without an overlap."""
    bounds = sorted(draw(st.sets(st.integers(0, DAY - 1), min_size=2, max_size=8)))
    return list(zip(bounds[::2], bounds[1::2], strict=False))


@given(days_of_trade())
def test_periods_are_read_as_they_were_written(periods: list[tuple[int, int]]) -> None:
    text = ",".join(
        f"{start // 60:02}{start % 60:02}-{end // 60:02}{end % 60:02}" for start, end in periods
    )

    hours = parse_session(text)

    assert hours is not None
    monday = hours.eras[0][1].days[0]
    assert monday is not None
    assert list(monday.periods) == periods


marks = st.sampled_from(["", "", "", "F", "F1", "F2", "F3"])


@st.composite
def periods_of_trade(draw: st.DrawFn) -> str:
    """Return one period in any of its forms, also with days that overlap each other."""
    start, end = draw(minutes), draw(minutes)
    return f"{start[0]:02}{start[1]:02}{draw(marks)}-{end[0]:02}{end[1]:02}{draw(marks)}"


texts = st.lists(periods_of_trade(), min_size=1, max_size=3).map(",".join)
weeks = st.tuples(texts, st.sampled_from(["", ":23456", ":1234567", ":7", "|0900-1000:3"])).map(
    "".join
)


@given(
    hours=weeks,
    display=st.one_of(st.just(""), texts),
    corrections=st.tuples(texts, texts).map(
        lambda two: f"{two[0]}:20250108;{two[1]}:20250113,20250115"
    ),
    zone=st.sampled_from(["Etc/UTC", "America/New_York", "Asia/Tokyo"]),
    base=st.sampled_from([7, 60, 240, None]),
    offsets=st.sets(st.integers(0, 60 * 24 * 90), min_size=1, max_size=60),
)
def test_every_answer_can_be_given_for_any_hours(
    hours: str, display: str, corrections: str, zone: str, base: int | None, offsets: set[int]
) -> None:
    calendar = Calendar(hours, zone, display, "20250106,20250107", corrections)
    times = 1_733_000_000_000 + 60_000 * np.array(sorted(offsets), dtype=np.int64)
    length = BarLength(base, "m") if base else BarLength(1, "D")

    closes = close_instants(times, Clock(length.value, calendar))
    report = find_gaps(times, calendar, length)

    assert (closes > times).all()
    assert report.held + report.outside >= 1
    if calendar.is_known:
        table = calendar.table(times)
        assert (table.opens[1:] >= table.closes[:-1]).all()
        targets = [BarLength(1, "W"), BarLength(12, "M")]
        targets += [BarLength(2 * base, "m"), BarLength(1, "D")] if base else [BarLength(2, "D")]
        for target in targets:
            windows = find_windows(times, length, target, calendar)
            assert (np.diff(windows.begin) > 0).all()


@given(st.text(alphabet="0123456789-,:;|#/FAESUx24", max_size=60), st.text(max_size=40))
def test_no_text_raises(hours: str, other: str) -> None:
    calendar = Calendar(hours, "America/New_York", other, other, f"{hours}:{other}")

    sessions = calendar.sessions(1_700_000_000_000, 1_701_000_000_000)

    assert calendar.is_known or len(sessions) == 0
    assert (sessions.closes > sessions.opens).all()
    parse_session(other)
    parse_dates(other)
