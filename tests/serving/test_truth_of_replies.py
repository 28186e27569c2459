"""What a reply says of itself: the reply's own last bar, and errors by their right name."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from datasets.api.reference import entries
from datasets.fetching import fetch_queue, tasks
from datasets.models import Dataset, Fetch
from datasets.research import load
from datasets.storage import FolderStore
from tests.support.stacks import wait_until

MakeDataset = Callable[..., Dataset]
OHLC = "/api/tv/ohlc?symbol=BTCUSDT&exchange=BINANCE&n_bars=20"
# The dataset has the hours from 00:00 to 19:00.
PARTS = [
    ("", False, None, False),
    ("2025-01-01T19:00:00Z", False, None, True),
    ("2025-01-01T20:00:00Z", False, None, False),
    ("2024-12-31T00:00:00Z", None, None, None),
    ("2025-01-01T19:00:00Z", None, None, True),
    ("", None, None, None),
    ("", True, None, True),
    ("", False, "closed", True),
]


@pytest.mark.parametrize(("end", "held", "closed", "said"), PARTS)
@pytest.mark.parametrize("form", ["json", "columns", "csv", "arrow", "parquet", "load"])
def test_last_bar_final_speaks_of_the_last_bar_of_the_reply(
    client: Client,
    make_dataset: MakeDataset,
    own_outputs: Path,
    form: str,
    end: str,
    held: bool | None,
    closed: str | None,
    said: bool | None,
) -> None:
    dataset = make_dataset(20, reply={"last_bar_final": held})
    if form == "load":
        frame = load(
            "BINANCE:BTCUSDT",
            source="sample",
            folder=own_outputs,
            end=end or None,
            closed=bool(closed),
        )
        assert frame.attrs["last_bar_final"] is said
        return
    part = f"&format={form}" + (f"&end={end}" if end else "") + ("&closed=true" if closed else "")

    for address in (OHLC + part, f"/api/tv/datasets/{dataset.pk}/bars?{part[1:]}"):
        reply = client.get(address)
        assert reply.status_code == 200
        header = reply.headers.get("Last-Bar-Final")
        assert header == (None if said is None else str(said).lower())
        if form in ("json", "columns"):
            assert reply.json()["last_bar_final"] is said


@pytest.mark.django_db(transaction=True)
def test_who_waits_for_a_fetch_that_is_cancelled_is_told_so(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "enqueue", lambda fetch_id: None)
    replies: list[Any] = []

    def wait() -> None:
        replies.append(client.get(OHLC + "&wait=20"))
        connection.close()

    waiting = threading.Thread(target=wait)
    waiting.start()
    fetch = wait_until(Fetch.objects.first, what="the fetch")

    assert fetch is not None
    assert fetch_queue.cancel(fetch)

    waiting.join(20)
    (reply,) = replies
    body = reply.json()
    assert (reply.status_code, body["code"], body["retryable"]) == (409, "fetch_cancelled", True)


@pytest.mark.parametrize("harm", ["missing", "corrupt"])
@pytest.mark.parametrize("way", ["bars", "file"])
def test_a_file_that_is_gone_or_damaged_is_what_the_documentation_says(
    client: Client, make_dataset: MakeDataset, store: FolderStore, harm: str, way: str
) -> None:
    dataset = make_dataset(20)
    path = store.folder / dataset.path
    path.unlink()
    if harm == "corrupt":
        path.write_bytes(b"nothing")

    reply = client.get(f"/api/tv/datasets/{dataset.pk}/{way}")

    body = reply.json()
    documented = {entry.code: entry for entry in entries()}[f"file_{harm}"]
    assert (reply.status_code, body["code"]) == (documented.status, f"file_{harm}")
    assert body["retryable"] is documented.retryable is True
