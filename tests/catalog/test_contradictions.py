"""A split: a dataset that a newer fetch contradicts is never served again as current."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from django.core.management import call_command
from django.test import Client

from datasets import catalog, fetching
from datasets.bars import DatasetKey, make_table
from datasets.catalog.contradictions import contradict
from datasets.errors import InvalidRequest
from datasets.fetching import fetch_queue, tasks
from datasets.models import Dataset, Fetch, Series
from datasets.research import DatasetNotFound, load, load_panel, verify_lock, write_lock
from datasets.research import catalog as catalog_of_files
from datasets.serving import request_fetch
from datasets.storage import FolderStore
from tests.support.factories import bars_table, fetched_bars
from tests.support.stacks import Feed

State = Dataset.State
# 2020-08-24 to 2020-09-01: opening in UNIX seconds, open, high, low, close, volume.
BEFORE = [
    [1598275800, 514.79, 515.14, 495.75, 503.43, 4e7],
    [1598362200, 498.79, 500.72, 492.21, 499.3, 4e7],
    [1598448600, 504.72, 507.97, 500.33, 506.09, 4e7],
    [1598535000, 508.57, 509.94, 495.33, 500.04, 4e7],
    [1598621400, 504.05, 505.77, 498.31, 499.23, 4e7],
]
AFTER = [[row[0], *(price / 4 for price in row[1:5]), row[5] * 4] for row in BEFORE] + [
    [1598880600, 127.58, 131.0, 126.0, 129.04, 2.25e8],
    [1598967000, 132.76, 134.8, 130.53, 134.18, 1.51e8],
]
FRIDAY = "2020-08-28T13:30:00Z"
OHLC = "/api/tv/ohlc?symbol=NASDAQ:AAPLX&timeframe=1D&wait=0"


def replay(rows: list[list[float]]) -> list[dict[str, Any]]:
    facts = {
        "pro_name": "NASDAQ:AAPLX", "full_name": "NASDAQ:AAPLX", "name": "AAPLX", "listed_exchange": "NASDAQ",
        "description": "A split", "type": "stock", "currency_code": "USD", "timezone": "America/New_York",
        "session": "0930-1600", "pricescale": 100, "minmov": 1, "visible_plots_set": "ohlcv",
    }  # fmt: skip
    series = {
        "s": [{"i": index, "v": row} for index, row in enumerate(rows)],
        "lbs": {"bar_close_time": rows[-1][0] + 22_999},
    }
    return [
        {"m": "symbol_resolved", "p": ["cs", "symbol_1", facts]},
        {"m": "timescale_update", "p": ["cs", {"s1": series}]},
    ]


@pytest.fixture(scope="module")
def feeds(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Feed]]:
    """Two feeds: one before the split, one after the split."""
    folder = tmp_path_factory.mktemp("split")
    running = []
    for name, rows in (("before", BEFORE), ("after", AFTER)):
        path = folder / f"{name}.json"
        path.write_text(json.dumps(replay(rows)))
        running.append(Feed(folder, "--replay", str(path), "--timeframe", "1D"))
    yield running
    for feed in running:
        feed.stop()


@pytest.fixture(autouse=True)
def handed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "enqueue", lambda fetch_id: None)


def key_of(n_bars: int) -> DatasetKey:
    return DatasetKey.parse(source="sample", symbol="NASDAQ:AAPLX", timeframe="1D", n_bars=n_bars)


@pytest.fixture
def fetch(transactional_db: None, feeds: list[Feed], settings: Any) -> Callable[[int, int], None]:
    def fetch_from(feed: int, n_bars: int) -> None:
        settings.TV_WS_URL = feeds[feed].ws_url
        fetching.run_fetch(fetch_queue.open_fetch(key_of(n_bars), via="api")[0].pk)

    return fetch_from


def friday_close(client: Client, n_bars: int) -> float | None:
    """Return the close of the Friday in the reply of the API; None where the API fetches first."""
    reply = client.get(OHLC + f"&n_bars={n_bars}")
    if reply.status_code == 202:
        return None
    assert reply.status_code == 200, reply.content
    closes = {bar["time"]: bar["close"] for bar in reply.json()["ohlc"]}
    close: float = closes[FRIDAY]
    return close


def test_after_a_split_the_old_price_is_never_served_again(
    fetch: Callable[[int, int], None], client: Client, own_outputs: Path, store: FolderStore
) -> None:
    here: Any = {"source": "sample", "folder": own_outputs, "timeframe": "1D"}
    fetch(0, 5000)
    assert friday_close(client, 5000) == 499.23
    load_panel(["NASDAQ:AAPLX"], **here)

    fetch(1, 4)

    assert friday_close(client, 4) == 124.8075
    assert friday_close(client, 3) == 124.8075
    # The whole window was fetched, and all datasets of the series are written from it.
    assert friday_close(client, 5000) == 124.8075
    assert load("NASDAQ:AAPLX", **here)["close"].loc[FRIDAY] == 124.8075
    assert load_panel(["NASDAQ:AAPLX"], **here)["NASDAQ:AAPLX"].loc[FRIDAY] == 124.8075
    assert load("NASDAQ:AAPLX", n_bars=5000, **here)["close"].loc[FRIDAY] == 124.8075
    assert dict(Dataset.objects.values_list("n_bars", "state")) == {5000: "ready", 4: "ready"}
    series = Series.objects.get()
    assert (series.generation, series.n_rows) == (2, 7)
    revision = series.revisions.get()
    assert (revision.finding, revision.factor, revision.is_split) == ("ratio", 0.25, True)
    assert set(Dataset.objects.values_list("series", flat=True)) == {series.pk}
    assert set(Fetch.objects.values_list("series", flat=True)) == {series.pk}


def test_a_pinned_dataset_from_before_a_split_stays_and_answers_only_its_lock(
    fetch: Callable[[int, int], None], client: Client, own_outputs: Path, tmp_path: Path
) -> None:
    here: Any = {"source": "sample", "folder": own_outputs, "timeframe": "1D"}
    fetch(0, 5000)
    Dataset.objects.update(is_pinned=True)
    lock = tmp_path / "study.lock"
    write_lock(lock, load("NASDAQ:AAPLX", **here))
    load_panel(["NASDAQ:AAPLX"], **here)

    fetch(1, 4)

    pinned = Dataset.objects.get(n_bars=5000)
    assert pinned.state == State.SUPERSEDED
    for n_bars in (3, 4):
        assert friday_close(client, n_bars) == 124.8075
    reply = client.get(OHLC + "&n_bars=5000")
    assert (reply.status_code, reply.json()["code"]) == (400, "invalid_request")
    assert f"/api/tv/datasets/{pinned.pk}/bars" in reply.json()["detail"]
    assert client.get(f"/api/tv/datasets/{pinned.pk}/bars").json()["ohlc"][-1]["close"] == 499.23
    with pytest.raises(InvalidRequest, match="contradicts"):
        request_fetch(key_of(5000), via="api")
    assert load("NASDAQ:AAPLX", **here)["close"].loc[FRIDAY] == 124.8075
    assert load_panel(["NASDAQ:AAPLX"], **here)["NASDAQ:AAPLX"].loc[FRIDAY] == 124.8075
    with pytest.raises(DatasetNotFound):
        load("NASDAQ:AAPLX", n_bars=5000, **here)
    assert catalog_of_files(folder=own_outputs)["state"].tolist() == ["ready", "superseded"]
    assert load("NASDAQ:AAPLX", lock=lock, **here)["close"].iloc[-1] == 499.23
    panel = load_panel(["NASDAQ:AAPLX"], lock=lock, **here)
    assert panel["NASDAQ:AAPLX"].iloc[-1] == 499.23
    assert verify_lock(lock, folder=own_outputs) == []
    call_command("datasets", "rebuild")
    call_command("datasets", "verify", str(pinned.pk))
    assert Dataset.objects.get(n_bars=5000).state == State.SUPERSEDED

    Dataset.objects.update(is_pinned=False)
    assert friday_close(client, 5000) is None
    fetch_queue.cancel(fetch_queue.open_fetch(key_of(5000), via="api")[0])
    fetch(1, 5000)

    assert friday_close(client, 5000) == 124.8075
    assert load("NASDAQ:AAPLX", n_bars=5000, **here)["close"].loc[FRIDAY] == 124.8075


def test_an_older_file_that_is_put_back_by_hand_is_not_served(
    fetch: Callable[[int, int], None], client: Client, store: FolderStore
) -> None:
    fetch(0, 5000)
    path = store.folder / Dataset.objects.get().path
    content = path.read_bytes()
    fetch(1, 4)
    Dataset.objects.filter(n_bars=5000).delete()
    path.write_bytes(content)

    call_command("datasets", "rebuild")

    assert dict(Dataset.objects.values_list("n_bars", "state")) == {5000: "invalidated", 4: "ready"}
    assert not path.exists()


def test_after_a_worker_killed_before_its_row_the_next_reader_makes_the_comparison(
    fetch: Callable[[int, int], None], client: Client, store: FolderStore
) -> None:
    fetch(0, 5000)
    fetch(0, 4)
    newer = fetched_bars(table_of(AFTER[-4:]), fetched_at=datetime.now(UTC))
    store.write(key_of(4), newer)

    catalog.read(Dataset.objects.get(n_bars=4))

    assert Dataset.objects.get(n_bars=5000).state == State.INVALIDATED


def test_datasets_that_agree_stay_ready(fetch: Callable[[int, int], None]) -> None:
    for n_bars in (5000, 4, 3):
        fetch(0, n_bars)

    assert set(Dataset.objects.values_list("state", flat=True)) == {State.READY}


def table_of(rows: list[list[float]]) -> pa.Table:
    return make_table(np.array(rows), has_volume=np.full(len(rows), True))


HOURS = bars_table(20)
DOUBLED = HOURS.set_column(4, "close", pc.multiply(HOURS["close"], 2.0))
LAST_CHANGED = HOURS.set_column(
    4, "close", pa.array([*HOURS["close"].to_pylist()[:-1], HOURS["high"][-1].as_py()])
)
OTHER_VOLUME = HOURS.set_column(5, "volume", pa.array([1.0] * 20))


@pytest.mark.parametrize(
    ("newer", "older", "answer"),
    [
        ((HOURS, True), (HOURS, True), False),
        ((HOURS, True), (HOURS.slice(5), False), False),
        ((HOURS.slice(10), True), (HOURS.slice(0, 15), True), False),
        ((HOURS.slice(15), True), (DOUBLED.slice(0, 10), True), False),
        ((HOURS, True), (DOUBLED.slice(10), True), True),
        ((HOURS, True), (LAST_CHANGED, False), False),
        ((HOURS, True), (LAST_CHANGED, None), False),
        ((HOURS, True), (LAST_CHANGED, True), True),
        ((HOURS, True), (OTHER_VOLUME, True), False),
        ((HOURS, True), (pa.concat_tables([HOURS.slice(0, 5), HOURS.slice(6)]), True), True),
        ((HOURS.slice(0, 1), False), (DOUBLED, True), False),
    ],
    ids=[
        "the same", "a part", "overlapping", "apart", "other prices", "forming", "maybe forming", "a final bar",
        "volume", "a bar less", "nothing final",
    ],
)  # fmt: skip
def test_only_final_bars_in_the_overlap_can_contradict(
    newer: tuple[pa.Table, bool | None], older: tuple[pa.Table, bool | None], answer: bool
) -> None:
    assert contradict(newer, older) is answer
    assert contradict(older, newer) is answer
