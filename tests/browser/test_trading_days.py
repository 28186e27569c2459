"""The page's trading days: sessions that open the evening before, and weekends."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import numpy as np
import pytest
from django.test import Client
from playwright.sync_api import Page

from datasets.bars import BarLength, Instrument
from datasets.calendars import Calendar, bar_days
from datasets.models import Dataset

LABEL = """
async ([bars, seconds]) => {
  const { Labels } = await import('/static/js/shared/times.js');
  const labels = new Labels({ choice: 'utc', instrument: {}, isIntraday: false, bars });
  return seconds.map((moment) => labels.full(moment));
}
"""
SHANGHAI = ("Asia/Shanghai", "2100-0230,0900-1015,1030-1130,1330-1500")
GOLD = ("America/New_York", "1800-1700")
CURRENCIES = ("America/New_York", "1700-1700")
CHICAGO = ("America/Chicago", "1700-1600")
TEL_AVIV = ("Asia/Jerusalem", "0945-1725:12345")


@pytest.mark.parametrize(
    ("market", "moments", "label"),
    [
        # Friday evening, the night after it, and Monday morning and afternoon are one day.
        (SHANGHAI, ["2025-03-07T13:00Z", "2025-03-07T18:00Z", "2025-03-10T01:00Z", "2025-03-10T06:59Z"], "Mon, Mar 10, 2025"),
        (SHANGHAI, ["2025-03-10T13:00Z", "2025-03-11T01:00Z"], "Tue, Mar 11, 2025"),
        # Daily bars with a time between two sessions.
        (GOLD, ["2025-03-30T21:00Z", "2025-03-30T22:00Z", "2025-03-31T20:00Z"], "Mon, Mar 31, 2025"),
        (GOLD, ["2025-03-31T21:00Z"], "Tue, Apr 1, 2025"),
        (CURRENCIES, ["2025-03-09T21:00Z", "2025-03-10T20:59Z"], "Mon, Mar 10, 2025"),
        (CHICAGO, ["2025-03-09T22:00Z", "2025-03-10T20:59Z"], "Mon, Mar 10, 2025"),
        (TEL_AVIV, ["2025-03-09T07:45Z"], "Sun, Mar 9, 2025"),
    ],
)  # fmt: skip
def test_an_evening_session_belongs_to_the_next_trading_day(
    market: tuple[str, str], moments: list[str], label: str, page: Page, site: str
) -> None:
    page.goto(f"{site}/login/")
    zone, hours = market
    # Gold's bars are stamped as bars of days are, between two sessions.
    length = BarLength(1, "D") if market == GOLD else BarLength(60, "m")
    seconds = [round(datetime.fromisoformat(moment).timestamp()) for moment in moments]

    days = bar_days(np.array(seconds) * 1000, Calendar(hours, zone), length).dates
    found = page.evaluate(LABEL, [{"time": seconds, "day": days.tolist()}, seconds])

    assert found == [label] * len(moments)


def test_the_reply_in_columns_names_the_trading_day_of_each_bar(
    make_dataset: Callable[..., Dataset], client: Client
) -> None:
    gold = Instrument(timezone=GOLD[0], session_hours=GOLD[1])
    dataset = make_dataset(30, reply={"instrument": gold})  # hours from 2025-01-01T00:00Z on

    days = client.get(f"/api/tv/datasets/{dataset.pk}/bars?format=columns").json()["trading_days"]

    # The session of the second of January opened at 23:00 UTC on the evening before.
    assert days == {"first": [0, 23], "date": ["2025-01-01", "2025-01-02"]}
    assert "trading_days" not in client.get(f"/api/tv/datasets/{dataset.pk}/bars").json()
