"""Lines of the log as JSON, and the id of a request from the reply to the worker's log."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import requests
from django.test import Client

from datasets import log_context
from datasets.models import Fetch
from tests.support.stacks import Feed, Stack, wait_until
from tvproject.secrecy import JsonFormatter


def test_a_safe_request_id_of_the_client_is_in_the_reply(client: Client) -> None:
    reply = client.get("/healthz", headers={"X-Request-Id": "job-7:chart.1"})

    assert reply.headers["X-Request-Id"] == "job-7:chart.1"


@pytest.mark.parametrize("unsafe", ["", "two words", "ü", "a" * 65, 'x"y', "a\x00b"])
def test_an_unsafe_request_id_is_replaced(client: Client, unsafe: str) -> None:
    reply = client.get("/healthz", headers={"X-Request-Id": unsafe})

    assert re.fullmatch(r"[0-9a-f]{32}", reply.headers["X-Request-Id"])


def test_a_line_of_json_has_the_ids_and_the_traceback_and_no_secret(settings: Any) -> None:
    secret = 'pass"wörd\\7'
    settings.ENV = {**settings.ENV, "TV_PASSWORD": secret}
    try:
        raise ValueError(secret)
    except ValueError as error:
        found = (type(error), error, error.__traceback__)
    record = logging.LogRecord(
        "datasets.x", logging.WARNING, "x.py", 1, "sent %s\nagain", (secret,), found
    )

    with log_context.with_ids("job-7", 12):
        text = JsonFormatter().format(record)

    line = json.loads(text)
    assert "\n" not in text
    assert (line["request_id"], line["fetch_id"], line["level"]) == ("job-7", 12, "WARNING")
    assert line["message"] == "sent ********************\nagain"
    assert line["error"].startswith("Traceback")
    assert "wörd" not in text
    assert "job-7" not in JsonFormatter().format(record)


@pytest.mark.django_db(transaction=True)
def test_the_row_of_a_fetch_keeps_the_id_of_its_request(client: Client) -> None:
    client.get(
        "/api/tv/ohlc",
        {"symbol": "BINANCE:BTCUSDT", "wait": "0"},
        headers={"X-Request-Id": "job-7"},
    )

    assert Fetch.objects.get().request_id == "job-7"


@pytest.fixture
def stack(clean_feed: Feed, tmp_path: Path) -> Iterator[Stack]:
    running = Stack(tmp_path, clean_feed, LOG_FORMAT="json")
    yield running
    running.stop()


def test_web_server_and_worker_log_the_ids_of_a_failed_request(
    stack: Stack, clean_feed: Feed
) -> None:
    web, worker = stack.start_web(), stack.start_worker()
    wait_until(lambda: stack.get("status").json()["workers"], seconds=60, what="the worker's start")
    clean_feed.arm("invalid_symbol")

    reply = requests.get(
        f"{stack.url}/api/tv/ohlc",
        {"symbol": "BINANCE:BTCUSDT", "n_bars": "100", "wait": "60"},
        headers={"X-Request-Id": "job-7"},
        timeout=90,
    )

    assert (reply.status_code, reply.headers["X-Request-Id"]) == (500, "job-7")
    for process in (web, worker):
        line = wait_until(partial(failure_in, process.log), what="a line about the failure")
        assert (line["request_id"], line["fetch_id"]) == ("job-7", 1)


def failure_in(log: Path) -> dict[str, Any]:
    """Return the line about the failed fetch; empty where there is none yet."""
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    return next((line for line in lines if "symbol_not_found" in line["message"]), {})
