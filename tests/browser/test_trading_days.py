"""The page's trading days: sessions that open the evening before, and weekends."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.sync_api import Page

LABEL = """
async ([instrument, moments]) => {
  const { Labels, tradingDayOf } = await import('/static/js/times.js');
  const labels = new Labels({ choice: 'utc', instrument, isIntraday: false });
  const seconds = moments.map((moment) => Date.parse(moment) / 1000);
  const day = tradingDayOf(instrument);
  return seconds.map((moment) => [labels.full(moment), day(moment)]);
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
        (SHANGHAI, ["2025-03-07T13:00Z", "2025-03-07T18:00Z", "2025-03-10T01:00Z", "2025-03-10T06:59Z"], "Mon 10 Mar 2025"),
        (SHANGHAI, ["2025-03-10T13:00Z", "2025-03-11T01:00Z"], "Tue 11 Mar 2025"),
        # Daily bars with a time between two sessions.
        (GOLD, ["2025-03-30T21:00Z", "2025-03-30T22:00Z", "2025-03-31T20:00Z"], "Mon 31 Mar 2025"),
        (GOLD, ["2025-03-31T21:00Z"], "Tue 1 Apr 2025"),
        (CURRENCIES, ["2025-03-09T21:00Z", "2025-03-10T20:59Z"], "Mon 10 Mar 2025"),
        (CHICAGO, ["2025-03-09T22:00Z", "2025-03-10T20:59Z"], "Mon 10 Mar 2025"),
        (TEL_AVIV, ["2025-03-09T07:45Z"], "Sun 9 Mar 2025"),
    ],
)  # fmt: skip
def test_an_evening_session_belongs_to_the_next_trading_day(
    market: tuple[str, str], moments: list[str], label: str, page: Page, site: str
) -> None:
    page.goto(f"{site}/login/")
    zone, hours = market

    found = page.evaluate(LABEL, [{"timezone": zone, "session_hours": hours}, moments])

    day = (datetime.strptime(label, "%a %d %b %Y").replace(tzinfo=UTC)).timestamp() // 86400
    assert found == [[label, day]] * len(moments)
