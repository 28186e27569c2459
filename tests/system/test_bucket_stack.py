"""The whole service on a bucket: real web server, worker, PostgreSQL and S3 server; only settings change."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from datasets.storage.buckets import Bucket, BucketAddress
from tests.support.buckets import BucketServer
from tests.support.stacks import Feed, Stack, wait_until

pytestmark = pytest.mark.slow


def test_a_fetch_a_deletion_by_hand_and_a_rebuild_on_a_bucket(
    bucket_server: BucketServer,
    bucket_address: str,
    postgresql_url: str,
    feed: Feed,
    tmp_path: Path,
) -> None:
    with psycopg.connect(postgresql_url, autocommit=True) as connection:
        for name in ("on_a_bucket", "rebuilt"):
            connection.execute(f"CREATE DATABASE {name}")
    base = postgresql_url.removesuffix("postgres")
    place = {
        "OUTPUTS_URL": bucket_address,
        "STATE_DIR": str(tmp_path / "state"),
        "STORE_CHECK_S": "1",
    }
    stack = Stack(tmp_path, feed, DATABASE_URL=f"{base}on_a_bucket", **bucket_server.env, **place)
    bucket = Bucket(BucketAddress.parse(bucket_address))
    try:
        stack.start_web()
        stack.start_worker()
        asked = {"symbol": "BTCUSDT", "exchange": "BINANCE", "n_bars": 300}

        first = stack.get("ohlc", **asked).json()
        assert first["count"] == 300, first
        again = stack.get("ohlc", **asked)
        assert again.json()["ohlc"] == first["ohlc"]
        [name] = [each.name for each in bucket.list("datasets") if each.name.endswith(".parquet")]
        assert [each.name for each in bucket.list("archive") if each.name.endswith("series.json")]
        assert not list(tmp_path.rglob("*.parquet"))

        bucket.delete(name)
        wait_until(lambda: stack.get("ohlc", **asked).json().get("count") == 300 and bucket.exists(name),
                   seconds=15, what="the second fetch")  # fmt: skip

        assert stack.manage("datasets", "verify").returncode == 0
        rebuilt = f"{base}rebuilt"
        stack.manage("migrate", "-v0", DATABASE_URL=rebuilt)
        assert "adopted" in stack.manage("datasets", "rebuild", DATABASE_URL=rebuilt).stdout
        stack.manage("datasets", "export", "--to", str(tmp_path / "export"), DATABASE_URL=rebuilt)
        [exported] = (tmp_path / "export").rglob("*.parquet")
        assert exported.read_bytes() == bucket.get(name).content.to_pybytes()
    finally:
        stack.stop()
