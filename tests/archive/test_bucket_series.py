"""Series whose archives are in a bucket: fetches, repairs, decisions and ranges with their rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import environ
import pytest
from django.db.utils import ConnectionHandler
from django.test import Client

from datasets.archive import decisions
from datasets.archive.following.recovery import recover_archives, recover_series
from datasets.archive.series_rows import adopt_series
from datasets.catalog import series_locks
from datasets.catalog.outputs import archives, require_archives
from datasets.catalog.series_locks import locked_series
from datasets.errors import FileMissing, StoreUnavailable
from datasets.models import Revision, Series
from datasets.storage import BucketAddress
from datasets.storage.buckets import Bucket
from tests.support.archives import Crash, changed, plain_bars
from tests.support.arrivals import Arrivals
from tests.support.bucket_archives import crash_in_bucket
from tests.support.buckets import BucketServer, FaultProxy

pytestmark = pytest.mark.django_db


@pytest.fixture
def bucket(bucket_address: str, settings: Any, tmp_path: Path) -> Bucket:
    settings.OUTPUTS_BUCKET = BucketAddress.parse(bucket_address)
    settings.STATE_DIR = tmp_path / "state"
    settings.STATE_DIR.mkdir()
    return Bucket(settings.OUTPUTS_BUCKET)


@pytest.fixture
def arrivals(bucket: Bucket) -> Arrivals:
    """A series of 100 bars with an open revision, whose dataset has the newest 60."""
    made = Arrivals()
    made.arrive(plain_bars(range(100)), n_bars=60)
    made.arrive(changed(plain_bars(range(100)), 50, close=77.7, low=70.0), n_bars=60)
    return made


def test_a_fetch_is_merged_recorded_and_answered(
    arrivals: Arrivals, own_outputs: Path, client: Client
) -> None:
    assert (arrivals.series.n_rows, arrivals.series.sequence) == (100, 2)
    assert not list(own_outputs.rglob("*.parquet"))
    query = "symbol=AAPL&exchange=NASDAQ&start=2024-12-30T05:00:00Z&end=2024-12-30T15:00:00Z&wait=0"
    reply = client.get(f"/api/tv/ohlc?{query}").json()
    assert reply["count"] == 10
    before = (arrivals.now).isoformat().replace("+", "%2B")
    assert client.get(f"/api/tv/series/{arrivals.series.pk}/bars?as_of={before}").status_code == 200

    decisions.accept_new(arrivals.revision("unexplained"), by="ann")

    assert arrivals.bars()["close"][50].as_py() == 77.7
    assert arrivals.series.sequence == 3


def test_rows_are_rebuilt_from_the_bucket_and_a_deleted_archive_is_named(
    arrivals: Arrivals, bucket: Bucket
) -> None:
    Revision.objects.all().delete()
    Series.objects.all().delete()

    assert [found.outcome for found in adopt_series()] == ["adopted"]
    assert (arrivals.series.n_rows, Revision.objects.count()) == (100, 1)

    bucket.delete("archive/sample/NASDAQ_AAPL_1h/2024.parquet")
    bucket.delete("archive/sample/NASDAQ_AAPL_1h/series.json")
    assert [found.outcome for found in adopt_series()] == ["missing"]


@pytest.mark.parametrize("repair", ["at the start of a worker", "at the next attempt"])
def test_a_killed_fetch_is_finished(arrivals: Arrivals, repair: str) -> None:
    window = changed(plain_bars(range(40, 130)), 20, volume=1.0)
    # After the two new files and the document, before the rows.
    with crash_in_bucket(2), pytest.raises(Crash):
        arrivals.arrive(window, n_bars=60)
    assert arrivals.bars().num_rows == 130
    assert arrivals.series.n_rows == 100

    if repair == "at the next attempt":
        recover_series(arrivals.key)
    else:
        assert list(recover_archives()) == [arrivals.key]

    assert arrivals.series.n_rows == 130
    assert archives().suspects() == []


def test_a_bucket_that_is_away_or_empty_is_named(
    arrivals: Arrivals,
    bucket: Bucket,
    bucket_server: BucketServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    proxy = FaultProxy(urlsplit(bucket_server.endpoint).port or 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{proxy.port}")
    assert arrivals.bars().num_rows == 100
    proxy.arm("cut")

    with pytest.raises(StoreUnavailable):
        arrivals.arrive(plain_bars(range(40, 130)), n_bars=60)
    assert arrivals.bars().num_rows == 100
    proxy.stop()
    monkeypatch.setenv("AWS_ENDPOINT_URL", bucket_server.endpoint)
    for each in list(bucket.list("archive")):
        bucket.delete(each.name)

    with pytest.raises(StoreUnavailable, match="OUTPUTS_URL names another bucket"):
        require_archives("sample")
    with pytest.raises((FileMissing, StoreUnavailable)):
        arrivals.bars()


def test_postgresql_holds_the_lock_of_a_series_for_all_hosts(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    handler = ConnectionHandler({"default": environ.Env.db_url_config(postgresql_url)})
    monkeypatch.setattr(series_locks, "connection", handler["default"])
    monkeypatch.setattr(series_locks, "_LONGEST_WAIT_S", 1)
    with locked_series("sample/A_1h") as check, locked_series("sample/B_1h") as other:
        check()
        other()
        with pytest.raises(StoreUnavailable, match="sample/A_1h"), locked_series("sample/A_1h"):
            pass

    monkeypatch.setattr(series_locks, "_LONGEST_WAIT_S", 20)
    monkeypatch.setattr(series_locks, "_LONGEST_PAUSE_S", 1)
    # A writer that does nothing for longer than a second loses the lock to the next one.
    with locked_series("sample/A_1h") as check, locked_series("sample/A_1h") as next_check:
        next_check()
        with pytest.raises(StoreUnavailable):
            check()
