"""An installation on many hosts: wrong clocks, one of each call, and parts that die under load.

All faults of all parts, with a table: `make bench BENCHMARKS=hosts`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime

import pytest
import requests

from tests.support import servers
from tests.support.many_hosts import Cluster, many_hosts
from tests.support.many_hosts.faults import try_fault
from tests.support.stacks import wait_until

pytestmark = pytest.mark.slow

# The clocks of one web host and of two workers are wrong.
AHEAD_S = {"web 2": 90, "worker 1": 90, "worker 2": -90}
RATE, BURST = 20, 3
N_FETCHES = 26


@pytest.fixture(scope="module")
def cluster(need: servers.Need) -> Iterator[Cluster]:
    with many_hosts(
        need,
        ahead_s=AHEAD_S,
        TV_RATE_PER_MINUTE=str(RATE),
        TV_BURST=str(BURST),
        TV_USERNAME="ada",
        TV_PASSWORD="lovelace",
    ) as running:
        yield running


def test_with_clocks_90_s_apart_nothing_is_fetched_early_twice_or_too_fast(
    cluster: Cluster,
) -> None:
    """The feed counts with its own clock."""
    cluster.feed.reset()
    own = [parsedate_to_datetime(cluster.get(host, "status").headers["Date"]) for host in (0, 1)]
    assert 85 < (own[1] - own[0]).total_seconds() < 95
    cluster.stack.manage("watch", "add", "minutes", "BINANCE:BTCUSDT", "-t", "1m", "-n", "300")
    symbols = [f"LOAD:CLOCK{number}" for number in range(N_FETCHES)]

    with ThreadPoolExecutor(2) as pool:
        posts = pool.map(
            lambda host: requests.post(
                f"{cluster.web_urls[host]}/api/tv/fetches",
                json={"symbols": symbols, "n_bars": 50},
                timeout=30,
            ),
            (0, 1),
        )
        ids = {fetch["id"] for post in posts for fetch in post.json()["fetches"]}
    wait_until(
        lambda: (
            cluster.query(
                "SELECT count(*) FROM datasets_fetch WHERE symbol LIKE 'CLOCK%' AND state = 'succeeded'"
            )
            == [(N_FETCHES,)]
        ),
        seconds=180,
        what="the end of all fetches",
    )
    # Until the schedule's fetches are on time again, and one more of them.
    n_scheduled = cluster.feed.stats()["symbols"].get("BINANCE:BTCUSDT", 0)
    wait_until(
        lambda: cluster.feed.stats()["symbols"].get("BINANCE:BTCUSDT", 0) >= n_scheduled + 2,
        seconds=150,
        what="two fetches of the schedule",
    )
    time.sleep(3)

    stats = cluster.feed.stats()
    at = stats["create_series_at"]
    assert max(sum(begin <= each < begin + 60 for each in at) for begin in at) <= RATE
    assert len(ids) == N_FETCHES
    assert {stats["symbols"][symbol] for symbol in symbols} == {1}
    # No lease was stolen.
    assert cluster.query(
        "SELECT DISTINCT attempts FROM datasets_fetch WHERE state = 'succeeded'"
    ) == [(1,)]
    # The last calls are the schedule's: after the minute's end and the wait of the list.
    assert 5 <= at[-1] % 60 < 30
    # Both web hosts find a new dataset fresh and the series up to date, and call for nothing.
    for host in (0, 1):
        fresh = cluster.get(
            host, "ohlc", symbol="BINANCE:BTCUSDT", timeframe="1m", n_bars=300, max_age=60
        )
        assert (fresh.status_code, fresh.json()["cached"]) == (200, True)
        assert (fresh.headers["Freshness"], fresh.headers["Lag-Bars"]) == ("current", "0")
    assert cluster.query("SELECT count(*) FROM datasets_incident") == [(0,)]
    # All workers share one token, which an earlier test may have asked for.
    assert stats["sign_ins"] <= 1


def test_one_search_serves_all_hosts_and_a_replaced_dataset_is_seen_by_all_at_once(
    cluster: Cluster,
) -> None:
    cluster.feed.reset()

    with ThreadPoolExecutor(8) as pool:
        found = list(
            pool.map(lambda number: cluster.get(number % 2, "symbols", query="ETH"), range(8))
        )

    assert {reply.status_code for reply in found} == {200}
    assert cluster.feed.stats()["searches"] == 1
    query = {"symbol": "LOAD:SEEN", "timeframe": "1m", "n_bars": "20"}
    cluster.get(0, "ohlc", **query).raise_for_status()
    before = [cluster.get(host, "ohlc", **query) for host in (0, 1)]
    cluster.feed.arm("price_revision", symbol="LOAD:SEEN", at="2020-01-01T00:00:00Z", first="2020-01-01T00:00:00Z",
                     last="2100-01-01T00:00:00Z", ticks=7)  # fmt: skip
    refreshed = cluster.get(0, "ohlc", **query, max_age=0, wait=60)
    assert refreshed.status_code == 200
    new_hash = refreshed.json()["content_hash"]
    seen = [cluster.get(host, "ohlc", **query) for host in (0, 1)]
    deadline = time.monotonic() + 2
    # `WEB_TRUST_MS` is 250.
    while {each.json()["content_hash"] for each in seen} != {
        new_hash
    } and time.monotonic() < deadline:
        seen = [cluster.get(host, "ohlc", **query) for host in (0, 1)]

    assert {each.json()["content_hash"] for each in seen} == {new_hash}
    assert before[0].headers["ETag"] == before[1].headers["ETag"]
    assert seen[0].headers["ETag"] == seen[1].headers["ETag"] != before[0].headers["ETag"]
    unchanged = requests.get(
        f"{cluster.web_urls[1]}/api/tv/ohlc", params=query, timeout=20,
        headers={"If-None-Match": seen[0].headers["ETag"]},
    )  # fmt: skip
    assert unchanged.status_code == 304


@pytest.fixture(scope="module")
def quick_cluster(need: servers.Need) -> Iterator[Cluster]:
    with many_hosts(need, TV_RATE_PER_MINUTE="1200", TV_BURST="20", n_workers=2) as running:
        yield running


@pytest.mark.parametrize(
    ("part", "fault"),
    [("worker 1", "stop"), ("PostgreSQL", "kill"), ("PgBouncer", "restart"), ("Redis", "kill")],
)
def test_a_part_that_dies_under_load_loses_no_fetch(
    quick_cluster: Cluster, part: str, fault: str
) -> None:
    # Symbols of its own for each case: a symbol that is cached needs no fetch.
    number = sum(map(ord, part + fault))

    found = try_fault(quick_cluster, part, fault, number=number)

    assert found.n_accepted > 10
    assert (found.n_lost, found.n_stuck, found.n_double) == (0, 0, 0), found
    assert found.readers.keys() <= {"200", "503", "no reply", "no connection"}, found
