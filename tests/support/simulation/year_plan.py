"""A year of 50 series: splits, dividends, rolls, revisions, outages, and pauses of the service."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from tests.support.simulation.refresh_plan import RefreshPlan, Watched, instant

START = date(2025, 1, 6)
WINDOW = 500
N_DAYS = 364

Change = tuple[str, dict[str, Any]]

# Symbol, timeframes, days between two refreshes, adjustment.
_WATCHED = """
NASDAQ:AAPL 1h,1D 3 splits
NASDAQ:NVDA 1h,1D 4 splits
NASDAQ:TSLA 1h,1D 3 splits
NASDAQ:AMZN 15,1D 5 splits
NASDAQ:GOOGL 4h,1W 7 splits
NASDAQ:AVGO 1h,1D 5 splits
NASDAQ:COST 1h 4 splits
NASDAQ:QCOM 1h,1D 4 splits
NASDAQ:MSFT 1D,1h 5 splits
NASDAQ:ADBE 1h 5 splits
NYSE:WTI 1h,1D 5 splits
NYSE:KO 1D,1h 5 dividends
NYSE:JPM 1D 5 dividends
NYSE:GE 1D,4h 5 splits
NYSE:XOM 1h 5 splits
AMEX:SPY 1D 5 dividends
AMEX:GLD 1h 7 splits
NSE:RELIANCE 1h,1D 5 splits
NSE:TCS 15 3 splits
NSE:INFY 1h 5 splits
HOSE:FPT 1h,1D 5 splits
HOSE:VCB 1D 7 splits
TSE:7203 1D,1h 5 splits
LSE:VOD 1D,1h 5 splits
LSE:AV. 1h 5 splits
XETR:SAP 1h 5 splits
BINANCE:BTCUSDT 1h,4h 5 splits
BINANCE:SOLUSDT 15 3 splits
BINANCE:ETHUSDT 4h 7 splits
BINANCE:XMRUSDT 1h 5 splits
COINBASE:ETHUSD 1h 5 splits
FX_IDC:EURUSD 4h 7 splits
CME_MINI:ES1! 4h,1D 5 splits
CME_MINI:NQ1! 1D 5 splits
NYMEX:CL1! 1D 5 splits
COMEX:GC1! 4h 5 splits
"""

# Symbol, first day of the new prices, new shares for an old one.
_SPLITS = """
NASDAQ:AAPL 2025-02-10 4
NASDAQ:NVDA 2025-06-10 10
NASDAQ:AMZN 2025-08-04 20
NASDAQ:GOOGL 2025-05-05 1.5
NASDAQ:AVGO 2025-04-08 10
NASDAQ:AVGO 2025-09-16 2
NASDAQ:COST 2025-07-08 3
NASDAQ:QCOM 2025-03-18 2
NYSE:WTI 2025-05-20 0.1
NYSE:KO 2025-06-24 2
NYSE:GE 2025-08-12 0.125
NSE:RELIANCE 2025-09-02 2
NSE:TCS 2025-03-04 5
HOSE:FPT 2025-07-15 1.15
HOSE:FPT 2025-10-21 1.2
TSE:7203 2025-10-01 5
LSE:VOD 2025-02-25 0.6
XETR:SAP 2025-11-11 2
"""


def year_plan(n_days: int = N_DAYS) -> RefreshPlan:
    """Return the plan of the first `n_days` days of the year."""
    watched = [
        # A dataset smaller than the feed's window, for every second series.
        Watched(symbol, timeframe, 300 if number % 2 else WINDOW, adjustment, int(days))
        for number, line in enumerate(_WATCHED.split("\n")[1:-1])
        for symbol, timeframes, days, adjustment in [line.split()]
        for timeframe in timeframes.split(",")
    ]
    # A week without the service, which is longer than the window of some series and shorter than that of others.
    pauses = ((date(2025, 10, 13), date(2025, 10, 21)),)
    changes = (*_splits(), *_dividends(), *_rolls(), *_revisions(), *_outages())
    return RefreshPlan(START, n_days, WINDOW, tuple(watched), changes, pauses)


def _splits() -> list[Change]:
    lines = [line.split() for line in _SPLITS.strip().split("\n")]
    splits: list[Change] = [
        ("split", {"symbol": symbol, "at": f"{day}T00:30Z", "ratio": float(ratio)})
        for symbol, day, ratio in lines
    ]
    # Half adjusted at the refresh of that evening, and whole an hour later.
    half = {"half_until": "2025-03-19T22:35Z", "half_s": 259_200}
    splits.append(
        ("split", {"symbol": "NASDAQ:TSLA", "at": "2025-03-19T12:00Z", "ratio": 3, **half})
    )
    return splits


def _dividends() -> list[Change]:
    shares = {"NYSE:KO": 0.0075, "NYSE:JPM": 0.006, "AMEX:SPY": 0.0032}
    return [
        ("dividend", {"symbol": symbol, "at": f"2025-{month:02}-{day:02}T00:30Z", "share": share})
        for day, (symbol, share) in zip((14, 6, 21), shares.items(), strict=True)
        for month in (3, 6, 9, 12)
    ]


def _rolls() -> list[Change]:
    offsets = {"CME_MINI:ES1!": (41.25, 3), "CME_MINI:NQ1!": (187.5, 3), "NYMEX:CL1!": (-0.45, 1), "COMEX:GC1!": (14.5, 2)}  # fmt: skip
    return [
        ("roll", {"symbol": symbol, "at": f"2025-{month:02}-18T22:00Z", "offset": offset})
        for symbol, (offset, every) in offsets.items()
        for month in range(every, 13, every)
    ]


def _revisions() -> list[Change]:
    volumes: list[Change] = [
        ("volume_revision", {"symbol": symbol, "at": "2025-01-01"})
        for symbol in ("NASDAQ:AAPL", "NYSE:XOM", "NSE:INFY")
    ]
    prices: list[Change] = []
    for number, symbol in enumerate(
        ["NASDAQ:MSFT", "NYSE:XOM", "NSE:INFY", "BINANCE:BTCUSDT", "FX_IDC:EURUSD", "XETR:SAP", "AMEX:GLD"]
    ):  # fmt: skip
        day = START + timedelta(days=35 + 43 * number)
        bars = {"first": instant(day, 0).isoformat(), "last": instant(day, 23).isoformat()}
        at = instant(day + timedelta(days=1), 12).isoformat()
        prices.append(("price_revision", {"symbol": symbol, "at": at, "ticks": 3 + number, **bars}))
    # On the day of a split.
    bars = {"first": "2025-03-11T00:00Z", "last": "2025-03-12T00:00Z"}
    prices.append(
        ("price_revision", {"symbol": "NASDAQ:QCOM", "at": "2025-03-18T00:30Z", "ticks": 4, **bars})
    )
    placeholders: list[Change] = [
        ("placeholder", {"symbol": "NASDAQ:MSFT", "at": f"{day}T08:00Z", "until": f"{day}T23:30Z", "bar": f"{day}T{opening}Z"})
        for day, opening in (("2025-04-18", "13:30"), ("2025-07-04", "13:30"), ("2025-11-27", "14:30"))
    ]  # fmt: skip
    feeds: list[Change] = [
        ("feed_change", {"symbol": symbol, "at": f"{day}T00:30Z", "full_name": name})
        for symbol, day, name in (("NASDAQ:ADBE", "2025-04-14", "NASDAQ:ADBE"), ("LSE:AV.", "2025-09-08", "LSE:AV."))
    ]  # fmt: skip
    return [*volumes, *prices, *placeholders, *feeds]


def _outages() -> list[Change]:
    spans = """
    BINANCE:BTCUSDT 2025-02-03 2025-02-09
    BINANCE:BTCUSDT 2025-06-02 2025-06-30
    BINANCE:SOLUSDT 2025-04-01 2025-04-11
    BINANCE:ETHUSDT 2025-05-01 2025-07-12
    BINANCE:XMRUSDT 2025-08-01 2025-08-12
    COINBASE:ETHUSD 2025-03-10 2025-04-20
    NASDAQ:COST 2025-07-01 2025-07-20
    NSE:TCS 2025-09-01 2025-10-10
    """
    return [
        ("outage", {"symbol": symbol, "at": first, "until": end})
        for symbol, first, end in (line.split() for line in spans.strip().split("\n"))
    ]
