"""Changes of a symbol's history: the feed sends other bars from an instant on, as a client receives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
import requests

from datasets.bars import DatasetKey, FetchedBars
from datasets.errors import FeedClosed
from datasets.tradingview.client import FeedClient
from samplefeed.bars import bars_for
from tests.support.stacks import Feed

AT = datetime(2026, 11, 10, 14, 30, tzinfo=UTC)  # New York opens
EARLIER, LATER = AT - timedelta(minutes=10), AT + timedelta(days=1)
AAPL = "NASDAQ:AAPL"

Fetch = Callable[..., FetchedBars]


@pytest.fixture
def fetch(clean_feed: Feed) -> Iterator[Fetch]:
    """Return a function that fetches bars at an instant of the feed's clock."""
    client = FeedClient(clean_feed.ws_url, timeout_s=5, deadline_s=10)

    def fetch_at(now: datetime, symbol: str = AAPL, n_bars: int = 40, **key: Any) -> FetchedBars:
        clean_feed.set_clock(now)
        exchange, _, name = symbol.partition(":")
        plain = {"source": "sample", "timeframe": "1h"} | key
        return client.fetch_bars(
            DatasetKey.parse(exchange=exchange, symbol=name, n_bars=n_bars, **plain)
        )

    yield fetch_at
    client.close()


def truth(now: datetime, symbol: str = AAPL, timeframe: str = "60", n_bars: int = 40) -> Any:
    return np.array(bars_for(symbol, timeframe, n_bars, now=now.timestamp()))


def seconds_of(fetched: FetchedBars) -> Any:
    return fetched.table["time"].to_numpy().astype("M8[s]").astype(np.int64)


@pytest.fixture(autouse=True)
def own_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the client believe the feed's clock."""
    monkeypatch.setattr("time.time", AT.timestamp)


def test_a_split_divides_the_prices_before_it_and_multiplies_their_volumes(
    clean_feed: Feed, fetch: Fetch
) -> None:
    clean_feed.arm("split", symbol=AAPL, at=AT.isoformat(), ratio=4)

    before, after = fetch(EARLIER), fetch(LATER)

    rows = truth(LATER)
    is_old = seconds_of(after) < AT.timestamp()
    assert after.table["close"].to_numpy() == pytest.approx(rows[:, 4])
    assert before.table["close"].to_numpy()[-20:] == pytest.approx(truth(EARLIER)[-20:, 4] * 4)
    common = np.isin(seconds_of(before), seconds_of(after)[is_old])
    old, new = before.table.filter(common), after.table.filter(is_old)
    ratios = new["volume"].to_numpy()[:-1] / old["volume"].to_numpy()[-new.num_rows : -1]
    assert ratios == pytest.approx(4, rel=1e-3)


def test_a_half_adjusted_split_leaves_the_newest_bars_until_it_is_whole(
    clean_feed: Feed, fetch: Fetch
) -> None:
    until = AT + timedelta(hours=6)
    clean_feed.arm(
        "split",
        symbol=AAPL,
        at=AT.isoformat(),
        ratio=4,
        half_until=until.isoformat(),
        half_s=86_400,
    )

    half, whole = fetch(AT + timedelta(hours=5)), fetch(until)

    steps = half.table["close"].to_numpy() / truth(AT + timedelta(hours=5))[:, 4]
    is_late = seconds_of(half) >= AT.timestamp() - 86_400
    is_late &= seconds_of(half) < AT.timestamp()
    assert steps == pytest.approx(np.where(is_late, 4.0, 1.0))
    assert whole.table["close"].to_numpy() == pytest.approx(truth(until)[:, 4])


def test_a_dividend_changes_only_the_prices_that_are_adjusted_for_dividends(
    clean_feed: Feed, fetch: Fetch
) -> None:
    clean_feed.arm("dividend", symbol=AAPL, at=AT.isoformat(), share=0.01)

    adjusted = [fetch(now, adjustment="dividends") for now in (EARLIER, AT)]
    plain = [fetch(now) for now in (EARLIER, AT)]

    old, new = (each.table["open"].to_numpy() for each in adjusted)
    assert new[:-1] / old[1:] == pytest.approx(0.99, abs=1e-4)
    volumes = [each.table["volume"].to_numpy() for each in adjusted]
    assert (volumes[1][:-2] == volumes[0][1:-1]).all()
    assert plain[0].table.slice(1, 38).equals(plain[1].table.slice(0, 38))


def test_a_roll_moves_the_earlier_prices_of_a_future_by_a_constant(
    clean_feed: Feed, fetch: Fetch
) -> None:
    symbol = "CME_MINI:ES1!"
    clean_feed.arm("roll", symbol=symbol, at=AT.isoformat(), offset=12.5)

    before, after = fetch(EARLIER, symbol), fetch(LATER, symbol)

    is_common = np.isin(seconds_of(before), seconds_of(after))
    is_old = np.isin(seconds_of(after), seconds_of(before)[:-1])
    old = before.table["open"].to_numpy()[is_common][:-1]
    difference = after.table["open"].to_numpy()[is_old] - old
    assert len(difference) > 10
    assert difference == pytest.approx(12.5)


def test_a_revision_of_prices_is_sent_from_its_instant_on(clean_feed: Feed, fetch: Fetch) -> None:
    first = AT - timedelta(days=1)
    clean_feed.arm(
        "price_revision", symbol=AAPL, at=AT.isoformat(), ticks=3,
        first=first.isoformat(), last=(first + timedelta(hours=2)).isoformat(),
    )  # fmt: skip

    before, after = fetch(AT - timedelta(seconds=1)), fetch(AT + timedelta(minutes=10))

    old = dict(zip(seconds_of(before), before.table["close"].to_pylist(), strict=True))
    new = dict(zip(seconds_of(after), after.table["close"].to_pylist(), strict=True))
    changed = {time: round(new[time] - old[time], 6) for time in old if time in new}
    assert {time: step for time, step in changed.items() if step} == {
        first.timestamp(): 0.03,
        first.timestamp() + 3600: 0.03,
    }


def test_volumes_are_complete_a_day_later(clean_feed: Feed, fetch: Fetch) -> None:
    clean_feed.arm("volume_revision", symbol=AAPL, at=(AT - timedelta(days=3)).isoformat())

    fetched = fetch(AT)

    shares = fetched.table["volume"].to_numpy()[:-1] / truth(AT)[:-1, 5]
    is_young = seconds_of(fetched)[:-1] > AT.timestamp() - 86_400
    assert shares == pytest.approx(np.where(is_young, 0.9, 1.0), rel=1e-3)


def test_a_placeholder_has_no_volume_and_is_gone_later(clean_feed: Feed, fetch: Fetch) -> None:
    day = datetime(2026, 11, 26, 14, 30, tzinfo=UTC)  # Thanksgiving
    until = day + timedelta(hours=12)
    clean_feed.arm(
        "placeholder", symbol=AAPL, at=day.isoformat(), until=until.isoformat(), bar=day.isoformat()
    )

    shown, gone = (fetch(now, timeframe="1D") for now in (day + timedelta(hours=1), until))

    last = shown.table.slice(shown.table.num_rows - 2).to_pylist()
    assert (last[1]["time"], last[1]["volume"], shown.last_bar_final) == (day, 0.0, False)
    assert {last[1][name] for name in ("open", "high", "low", "close")} == {last[0]["close"]}
    assert gone.table["time"][-1].as_py() == last[0]["time"]


def test_another_feed_names_itself_from_its_instant_on(clean_feed: Feed, fetch: Fetch) -> None:
    clean_feed.arm("feed_change", symbol=AAPL, at=AT.isoformat(), full_name=AAPL, delay_s=900)

    before, after = (fetch(now).instrument for now in (EARLIER, AT))

    assert (before.full_name, before.delay_s) == ("BATS:AAPL", 0)
    assert (after.full_name, after.delay_s) == ("NASDAQ:AAPL", 900)


def test_an_outage_ends_the_connection_of_its_symbol_only(clean_feed: Feed, fetch: Fetch) -> None:
    clean_feed.arm("outage", symbol=AAPL, at=AT.isoformat(), until=LATER.isoformat())

    with pytest.raises(FeedClosed):
        fetch(AT)

    assert fetch(AT, "NASDAQ:MSFT").table.num_rows == 40
    assert fetch(LATER).table.num_rows == 40


@pytest.mark.parametrize(
    ("args", "reason"),
    [
        ({}, "missing: ['at', 'ratio', 'symbol']"),
        ({"symbol": AAPL, "at": "2026-11-10", "ratio": 4, "share": 1}, "unknown: ['share']"),
        ({"symbol": AAPL, "at": "soon", "ratio": 4}, "soon"),
        ({"symbol": AAPL, "at": "2026-11-10", "ratio": "four"}, "ratio cannot be 'four'"),
    ],
)
def test_a_change_with_wrong_arguments_is_refused(
    clean_feed: Feed, args: dict[str, Any], reason: str
) -> None:
    body = {"name": "split", "args": args}

    answer = requests.post(f"{clean_feed.site_url}/control/fault", json=body, timeout=5)

    assert answer.status_code == 400
    assert reason in answer.json()["error"]
    assert clean_feed.stats()["armed"] == []


def test_a_reset_lets_the_clock_run_and_ends_all_changes(clean_feed: Feed, fetch: Fetch) -> None:
    clean_feed.arm("outage", symbol=AAPL, at="2020-01-01", until="2040-01-01")
    clean_feed.set_clock(AT)

    clean_feed.reset()

    answer = requests.post(f"{clean_feed.site_url}/control/clock", json={"now": "noon"}, timeout=5)
    assert (answer.status_code, clean_feed.stats()["armed"]) == (400, [])
    assert fetch(AT).table.num_rows == 40
