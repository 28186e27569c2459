"""Of two datasets that can answer, the newest that suffices answers, wherever bars are read."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from datasets import serving
from datasets.bars import DatasetKey, selection
from datasets.bars.selection import Candidate
from datasets.fetching import tasks
from datasets.models import Dataset
from datasets.research import load, load_panel, write_lock
from datasets.research.lock_files import read_lock
from datasets.research.service.service_listing import Offer, best_offer
from datasets.serving.bars_request import BarsRequest
from tests.support.factories import a_key, bars_table
from tests.support.study_files import write

MakeDataset = Callable[..., Dataset]
DAY = datetime(2025, 6, 1, tzinfo=UTC)
OHLC = "/api/tv/ohlc?symbol=BTCUSDT&exchange=BINANCE&format=csv"
# (bars asked, bars held, days after the first fetch) of each dataset; what answers for a number.
CASES = [
    ([(300, 300, 0), (500, 500, 1)], 200, 500),
    ([(300, 300, 1), (500, 500, 0)], 200, 300),
    ([(300, 300, 1), (500, 500, 0)], 300, 300),
    ([(300, 300, 1), (500, 500, 0)], 400, 500),
    ([(300, 300, 1), (500, 500, 1)], 200, 300),
    ([(300, 300, 1), (500, 500, 0), (400, 400, 2)], 100, 400),
]
IDS = ["later larger", "later smaller", "just enough", "only one", "equal", "of three"]


def fetched_after(days: int) -> datetime:
    return DAY + timedelta(days=days)


@pytest.mark.parametrize(("held", "n_bars", "answer"), CASES, ids=IDS)
def test_files_rows_offers_and_locks_follow_one_rule(
    make_dataset: MakeDataset,
    own_outputs: Path,
    client: Client,
    tmp_path: Path,
    held: list[tuple[int, int, int]],
    n_bars: int,
    answer: int,
) -> None:
    here: Any = {"source": "sample", "folder": own_outputs}
    frames = []
    for asked, _, days in held:
        make_dataset(asked, reply={"fetched_at": fetched_after(days)})
        frames.append(load("BINANCE:BTCUSDT", n_bars=asked, **here))
    key = a_key(n_bars=n_bars)

    def described(each: tuple[int, int, int]) -> Candidate:
        return Candidate(each[0], each[1], fetched_after(each[2]))

    assert selection.in_order(held, n_bars, described)[0][0] == answer

    found = serving.find_cached(BarsRequest(key))
    assert found is not None
    assert found.dataset.n_bars == answer
    for _ in range(2):
        # The long way, then the short one.
        body = client.get(OHLC.replace("csv", "json") + f"&n_bars={n_bars}").json()
        assert (body["n_bars"], body["count"]) == (answer, n_bars)
    assert load("BINANCE:BTCUSDT", n_bars=n_bars, **here).attrs["n_bars"] == answer
    panel = load_panel(["BINANCE:BTCUSDT"], n_bars=n_bars, **here)
    assert [member["key"]["n_bars"] for member in panel.attrs["members"]] == [answer]
    offers = [offer(each) for each in held]
    best = best_offer(key, offers, is_exact=False)
    assert best is not None
    assert best.key.n_bars == answer
    lock = tmp_path / "study.lock"
    write_lock(lock, *by_themselves(held, own_outputs))
    assert read_lock(lock).pin(key).n_bars == answer


def by_themselves(held: list[tuple[int, int, int]], outputs: Path) -> list[Any]:
    """Load each of the datasets where no other could answer."""
    frames = []
    for asked, n_rows, days in held:
        alone = outputs.parent / f"alone-{asked}"
        table = bars_table(n_rows)
        write(alone, asked, table=table, source="sample", fetched_at=fetched_after(days))
        frames.append(load("BINANCE:BTCUSDT", source="sample", folder=alone))
    return frames


def offer(each: tuple[int, int, int]) -> Offer:
    key: DatasetKey = a_key(n_bars=each[0])
    return Offer(1, key, each[1], fetched_after(each[2]).isoformat(), {})


@pytest.mark.parametrize(
    ("held", "answer"),
    [
        ([(5000, 50, 0), (20, 20, 1)], 5000),
        ([(5000, 50, 1), (9000, 60, 0)], 5000),
        ([(5000, 50, 0), (9000, 60, 1)], 9000),
        ([(20, 20, 1), (40, 40, 0)], 40),
        ([(20, 20, 1), (40, 20, 0)], 20),
    ],
)
def test_without_a_number_the_loader_asks_for_as_many_bars_as_the_api(
    tmp_path: Path, held: list[tuple[int, int, int]], answer: int
) -> None:
    for asked, n_rows, days in held:
        write(tmp_path, asked, table=bars_table(n_rows), fetched_at=fetched_after(days))

    assert load("BINANCE:BTCUSDT", folder=tmp_path).attrs["n_bars"] == answer


def test_the_newest_one_that_suffices_answers_when_all_are_stale(
    make_dataset: MakeDataset, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "enqueue", lambda fetch_id: None)
    make_dataset(300, reply={"fetched_at": fetched_after(0)})
    make_dataset(500, reply={"fetched_at": fetched_after(1)})

    query = OHLC.replace("csv", "json") + "&n_bars=300&max_age=60&max_stale=999999999"
    body = client.get(query).json()

    assert (body["stale"], body["n_bars"], body["count"]) == (True, 500, 300)


def test_a_kept_panel_is_made_again_when_another_file_of_a_series_became_the_newest(
    tmp_path: Path,
) -> None:
    write(tmp_path, 30, fetched_at=fetched_after(0))
    write(tmp_path, 60, fetched_at=fetched_after(1))
    first = load_panel(["BINANCE:BTCUSDT"], n_bars=20, folder=tmp_path)

    write(tmp_path, 30, fetched_at=fetched_after(2))
    second = load_panel(["BINANCE:BTCUSDT"], n_bars=20, folder=tmp_path)

    numbers = [frame.attrs["members"][0]["key"]["n_bars"] for frame in (first, second)]
    assert numbers == [60, 30]
