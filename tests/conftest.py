"""What many tests need: a folder of their own, and datasets in it."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from django.core.cache import cache

from datasets.catalog import outputs, records
from datasets.fetching import throttle
from datasets.models import Dataset
from datasets.storage import BucketAddress, FolderStore
from datasets.storage.buckets import Bucket
from tests.support import buckets, servers
from tests.support.buckets import BucketServer
from tests.support.factories import a_key, bars_table, fetched_bars
from tests.support.stacks import Feed

# An example that takes long says nothing on a machine that does other things too.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


@pytest.fixture(autouse=True)
def own_outputs(settings: Any, tmp_path: Path) -> Iterator[Path]:
    """Give each test an outputs folder and an empty cache of its own."""
    settings.OUTPUTS_DIR = tmp_path / "outputs"
    settings.OUTPUTS_DIR.mkdir()
    cache.clear()
    throttle.end_cool_down(by="a test")
    yield settings.OUTPUTS_DIR


@pytest.fixture
def store(own_outputs: Path) -> FolderStore:
    return outputs.get_folder_store()


@pytest.fixture
def make_dataset(db: None, store: FolderStore) -> Callable[..., Dataset]:
    """Return a function that writes a dataset's file and its row."""

    def make(n_rows: int = 300, *, reply: dict[str, Any] | None = None, **changes: Any) -> Dataset:
        key = a_key(**({"n_bars": n_rows} | changes))
        return records.record(store.write(key, fetched_bars(bars_table(n_rows), **(reply or {}))))

    return make


@pytest.fixture(scope="session")
def feed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Feed]:
    """The sample feed, one for all tests; its counts and faults are cleared by `clean_feed`."""
    running = Feed(tmp_path_factory.mktemp("feed"))
    yield running
    running.stop()


@pytest.fixture
def clean_feed(feed: Feed) -> Iterator[Feed]:
    """The sample feed, with no fault armed and nothing counted, neither now nor for the next."""
    feed.reset()
    yield feed
    feed.reset()


@pytest.fixture(scope="session")
def need() -> servers.Need:
    """Return a function that finds a program, and skips the test where there is none.

    With REQUIRE_ALL=1 a missing program fails instead.
    """

    def find(name: str) -> str:
        # Debian keeps PostgreSQL's servers out of the path, and RabbitMQ's out of all but root's.
        ours = str(Path(sys.executable).parent)
        debian = ["/usr/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
        places = [os.environ.get("PATH", ""), ours, *debian]
        program = shutil.which(name, path=os.pathsep.join(places))
        if program is None:
            reason = f"{name} is not installed on this machine"
            if os.environ.get("REQUIRE_ALL") == "1":
                pytest.fail(reason)
            pytest.skip(reason)
        return program

    return find


@pytest.fixture(scope="session")
def postgresql_url(need: servers.Need) -> Iterator[str]:
    """The database `postgres` of a PostgreSQL server of our own, one for all tests."""
    with servers.postgresql(need) as url:
        yield url


@pytest.fixture(scope="session")
def bucket_server(need: servers.Need) -> Iterator[BucketServer]:
    """An S3 server of our own, one for all tests; `TESTS_S3_ENDPOINT` names another one (tests/support/ceph.sh)."""
    if endpoint := os.environ.get("TESTS_S3_ENDPOINT"):
        yield BucketServer(endpoint)
        return
    with buckets.seaweedfs(need) as server:
        yield server


@pytest.fixture
def bucket_address(bucket_server: BucketServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty place in a bucket, `s3://…`; the credentials are in the environment."""
    for name, value in bucket_server.env.items():
        monkeypatch.setenv(name, value)
    return bucket_server.empty_place()


@pytest.fixture
def conditional_writes(bucket_address: str) -> None:
    """Skip the test on a server without conditional writes, which `TESTS_S3_ENDPOINT` can name."""
    if "TESTS_S3_ENDPOINT" in os.environ:
        conditions = Bucket(BucketAddress.parse(bucket_address)).conditions
        if not all((conditions.creates, conditions.replaces)):
            pytest.skip(f"This S3 server has no conditional writes: {conditions}")


@pytest.fixture
def redis_url(need: servers.Need) -> Iterator[str]:
    """An empty Redis of our own."""
    with servers.redis(need) as url:
        yield url
