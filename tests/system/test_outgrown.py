"""PostgreSQL, Redis and RabbitMQ in the place of what is built in: only settings change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
import requests
from redis import Redis

from tests.support import servers
from tests.support.stacks import Feed, Running, Stack, wait_until

SYMBOLS = [f"LOAD:S{number}" for number in range(12)]


@pytest.fixture(scope="module", params=["redis", "rabbitmq"])
def stack(
    request: pytest.FixtureRequest,
    need: servers.Need,
    postgresql_url: str,
    feed: Feed,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    """Two web processes on a catalog in PostgreSQL, a cache in Redis, and one broker or the other."""
    broker: str = request.param
    name = f"outgrown_{broker}"
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    start = {"redis": servers.redis, "rabbitmq": servers.rabbitmq}[broker]
    with servers.redis(need) as cache_url, start(need) as broker_url:
        running = Stack(
            tmp_path_factory.mktemp(name),
            feed,
            DATABASE_URL=postgresql_url.removesuffix("postgres") + name,
            CACHE_URL=cache_url,
            CELERY_BROKER_URL=broker_url,
        )
        try:
            running.start_web(workers=2)
            yield running
        finally:
            running.stop()


@pytest.fixture
def start_worker(stack: Stack) -> Iterator[Callable[[], Running]]:
    """Return a function that starts a worker; all are gone when the test ends."""
    workers: list[Running] = []

    def start() -> Running:
        workers.append(stack.start_worker(concurrency=2))
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()


def test_many_symbols_asked_for_at_once_are_each_fetched_once_and_then_cached(
    stack: Stack, clean_feed: Feed, start_worker: Callable[[], Running]
) -> None:
    for _ in range(2):
        start_worker()
    body = {"symbols": SYMBOLS, "n_bars": 200}

    with ThreadPoolExecutor(4) as pool:
        posts = [
            pool.submit(requests.post, f"{stack.url}/api/tv/fetches", json=body, timeout=20)
            for _ in range(4)
        ]
        ids = {row["id"] for post in posts for row in post.result().json()["fetches"]}
        replies = list(
            pool.map(lambda symbol: stack.get("ohlc", symbol=symbol, n_bars=200), SYMBOLS)
        )

    assert [reply.status_code for reply in replies] == [200] * len(SYMBOLS)
    assert len({reply.json()["content_hash"] for reply in replies}) == len(SYMBOLS)
    assert len(ids) == clean_feed.stats()["conversations"] == len(SYMBOLS)
    again = [stack.get("ohlc", symbol=symbol, n_bars=200).json() for symbol in SYMBOLS]
    assert all(body["cached"] for body in again)
    assert [body["ohlc"] for body in again] == [reply.json()["ohlc"] for reply in replies]


def test_what_lies_in_redis_is_no_pickle(
    stack: Stack, clean_feed: Feed, start_worker: Callable[[], Running]
) -> None:
    start_worker()
    assert stack.get("ohlc", symbol="LOAD:PICKLE", n_bars=20).status_code == 200
    assert stack.get("symbols", query="BTC").status_code == 200

    shared: Any = Redis.from_url(stack.env["CACHE_URL"])
    kept = {key: shared.get(key) for key in shared.scan_iter() if shared.type(key) == b"string"}

    assert any(b"symbols:" in key for key in kept)
    assert [key for key, value in kept.items() if value.startswith(b"\x80")] == []


@pytest.mark.slow
def test_a_worker_killed_in_the_middle_of_a_fetch_loses_no_request(
    stack: Stack, clean_feed: Feed, start_worker: Callable[[], Running]
) -> None:
    """The broker hands the message out again by itself; the row says whether that is needed."""
    clean_feed.arm("stall_half_way", times=1)
    worker = start_worker()
    asked = stack.get("ohlc", symbol="LOAD:KILLED", n_bars=300, wait=0)
    address = asked.headers["Location"].removeprefix("/api/tv/")
    wait_until(lambda: clean_feed.stats()["conversations"] == 1, what="the first conversation")

    worker.kill()
    start_worker()

    fetch = wait_until(
        lambda: (row := stack.get(address).json())["state"] == "succeeded" and row,
        seconds=60,
        what="the fetch",
    )
    assert fetch["attempts"] == 2
    assert clean_feed.stats()["conversations"] == 2
