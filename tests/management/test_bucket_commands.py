"""Every command, page and route over datasets and archives in a bucket."""

from __future__ import annotations

import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from datasets.catalog import records
from datasets.catalog.outputs import archives, get_store
from datasets.models import AuditEntry, Dataset, Series
from datasets.storage import BucketAddress
from datasets.storage.archives.archive_paths import relative_folder
from datasets.storage.archives.archive_queries import read_range
from datasets.storage.buckets import Bucket
from tests.support.archives import changed, plain_bars
from tests.support.arrivals import Arrivals
from tests.support.factories import a_key, bars_table, fetched_bars

pytestmark = pytest.mark.django_db

CSV = "time,open,high,low,close,volume\n" + "".join(
    f"2025-03-{day:02}T00:00:00Z,10,12,9,11,{day}\n" for day in range(3, 8)
)


@pytest.fixture
def bucket(bucket_address: str, settings: Any, tmp_path: Path) -> Bucket:
    settings.OUTPUTS_BUCKET = BucketAddress.parse(bucket_address)
    settings.STATE_DIR = tmp_path / "state"
    settings.STATE_DIR.mkdir()
    settings.STORE_CHECK_S = 0
    return Bucket(settings.OUTPUTS_BUCKET)


@pytest.fixture
def arrivals(bucket: Bucket) -> Arrivals:
    """A series of 100 bars with an open revision, whose dataset has the newest 60."""
    made = Arrivals()
    made.arrive(plain_bars(range(100)), n_bars=60)
    made.arrive(changed(plain_bars(range(100)), 50, close=77.7, low=70.0), n_bars=60)
    return made


def old_dataset() -> Dataset:
    """A dataset of a version before there were archives."""
    stored = get_store().write(a_key(n_bars=300), fetched_bars(bars_table(300)))
    return records.record(stored)


def run(*arguments: str) -> str:
    """Run a command; return its output, with the exit status where that is not 0."""
    out = io.StringIO()
    try:
        call_command(*arguments, stdout=out)
    except SystemExit as end:
        out.write(f"exit status {end.code}")
    return out.getvalue()


def names(bucket: Bucket, folder: str) -> list[str]:
    return [each.name for each in bucket.list(folder) if not each.name.endswith("/.datasets")]


def test_the_commands_that_read(
    arrivals: Arrivals, bucket: Bucket, tmp_path: Path, own_outputs: Path
) -> None:
    old_dataset()

    listed = json.loads(run("datasets", "list", "--json"))
    assert sorted(each["symbol"] for each in listed) == ["AAPL", "BTCUSDT"]
    assert "NASDAQ_AAPL_1h_60.parquet" in run("datasets", "show", "NASDAQ:AAPL")
    assert json.loads(run("datasets", "verify", "--json"))["counts"] == {"ok": 2}
    assert "NASDAQ:AAPL" in run("datasets", "gaps")

    run("datasets", "export", "--layout", "table", "--to", str(tmp_path / "table"))
    table = pq.read_table(tmp_path / "table/sample/bars-000.parquet")
    assert table.num_rows == 100
    run("datasets", "export", "--format", "csv", "--to", str(tmp_path / "csv"))
    assert len(list((tmp_path / "csv").iterdir())) == 2
    assert not list(own_outputs.rglob("*.parquet"))


def test_the_commands_that_change(bucket: Bucket, tmp_path: Path) -> None:
    old = old_dataset()

    # The conversion of a dataset of version 0.3.0.
    run("datasets", "archive")
    old.refresh_from_db()
    assert old.series is not None
    assert read_range(archives().folder(relative_folder(old.series_key))).rows.num_rows == 300

    (tmp_path / "bars.csv").write_text(CSV)
    imported = json.loads(
        run("import", str(tmp_path / "bars.csv"), "--symbol", "NYSE:X", "-t", "1D", "--json")
    )
    assert imported["new"] == 5
    assert f"datasets/{imported['path']}" in names(bucket, "datasets")
    assert Series.objects.count() == 2

    # A damaged object goes to quarantine.
    bucket.put(f"datasets/{imported['path']}", b"damaged")
    assert "exit status 1" in run("datasets", "verify")
    [kept] = names(bucket, "quarantine")
    assert bucket.get(kept).content.to_pybytes() == b"damaged"
    assert Dataset.objects.get(exchange="NYSE").state == Dataset.State.CORRUPT

    # The rows are rebuilt from the objects.
    Dataset.objects.all().delete()
    Series.objects.all().delete()
    run("datasets", "rebuild")
    assert (Dataset.objects.count(), Series.objects.count()) == (1, 2)

    assert "1 dataset" in run("datasets", "prune", "--keep-newest", "0", "--dry-run")
    run("datasets", "invalidate", "BINANCE:BTCUSDT")
    assert len(names(bucket, "invalidated")) == 1
    another = old_dataset()
    run("datasets", "delete", str(another.pk))
    assert len(names(bucket, "trash")) == 1
    old_dataset()
    run("datasets", "prune", "--keep-newest", "0")
    assert names(bucket, "datasets") == []
    assert AuditEntry.objects.filter(action=AuditEntry.Action.PRUNED).count() == 1
    tidied = json.loads(run("tidy", "--older-than", "1d", "--dry-run", "--json"))
    assert tidied["files"] == 0
    n_files, _ = get_store().purge_removed(timezone.now() + timedelta(hours=1))
    assert (n_files, names(bucket, "trash")) == (3, [])


def test_the_pages_and_routes(arrivals: Arrivals, bucket: Bucket, client: Client) -> None:
    series, dataset = arrivals.series, Dataset.objects.get()

    held = client.get(f"/api/tv/series/{series.pk}/bars").json()
    assert len(held["ohlc"]) == 100
    for address in (
        f"/api/tv/series/{series.pk}/gaps",
        f"/api/tv/series/{series.pk}/revisions",
        f"/api/tv/datasets/{dataset.pk}",
        f"/api/tv/datasets/{dataset.pk}/gaps",
        f"/api/tv/bars/{dataset.content_hash}",
        "/udf/history?symbol=NASDAQ:AAPL&resolution=60&from=1735500000&to=1736000000&countback=10",
        "/datasets/",
        f"/datasets/{dataset.pk}/",
        f"/datasets/{dataset.pk}/closes.svg",
        "/series/",
        f"/series/{series.pk}/",
        "/status/",
    ):
        reply = client.get(address)
        assert reply.status_code == 200, (address, reply.content[:500])

    file = client.get(f"/series/{series.pk}/files/2024.parquet")
    content = b"".join(file)
    assert content == bucket.get(f"archive/{relative_folder(arrivals.key)}/2024.parquet").content.to_pybytes()  # fmt: skip
    assert int(file["Content-Length"]) == len(content)
    assert "NASDAQ_AAPL_1h_2024.parquet" in file["Content-Disposition"]
