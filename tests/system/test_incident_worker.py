"""A real worker, a watched series whose fetch fails, and a real receiver of webhooks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.receivers import Received, http_receiver
from tests.support.stacks import Feed, Stack, wait_until

SECRET = "a-secret-of-the-tests"
DUE = (
    "from django.utils import timezone; from datasets.models import Schedule; "
    "Schedule.objects.update(due_at=timezone.now())"
)


@pytest.mark.slow
def test_a_worker_tells_that_a_series_fails_and_that_it_is_over(
    tmp_path: Path, clean_feed: Feed
) -> None:
    with http_receiver() as receiver:
        stack = Stack(
            tmp_path, clean_feed, INCIDENT_FAILURES="1", INCIDENT_WEBHOOK_SECRET=SECRET,
            INCIDENT_WEBHOOK_URL=receiver.url,
        )  # fmt: skip
        try:
            stack.manage("watch", "add", "mine", "BINANCE:BTCUSDT", "--timeframe", "1D")
            clean_feed.arm("permission_denied")
            stack.start_worker()
            wait_until(lambda: receiver.received, seconds=90, what="the first webhook")
            clean_feed.reset()
            stack.manage("shell", "--no-imports", "-c", DUE)
            wait_until(lambda: receiver.received[1:], seconds=120, what="the second webhook")
        finally:
            stack.stop()

    begun, over = (read(request) for request in receiver.received)
    assert (begun["type"], over["type"]) == ("incident.opened", "incident.closed")
    [incident] = begun["incidents"]
    assert (incident["subject"], incident["kind"]) == ("BINANCE:BTCUSDT 1D", "series_failing")
    assert incident["error_code"] == "not_permitted"
    log = (tmp_path / "worker.log").read_text()
    assert "opened: series failing: BINANCE:BTCUSDT 1D" in log
    assert SECRET not in log


def read(request: Received) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(request.body)
    return document
