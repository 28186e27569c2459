"""A network that fails between us and the bucket."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from urllib.parse import urlsplit

import pytest

from datasets.errors import FileMissing, StoreUnavailable
from datasets.storage.buckets import Bucket, BucketAddress, LocalCopies, VersionChecks
from tests.support.buckets import BucketServer, Fault, FaultProxy

# Below the 15 s of a worker's lease.
MOST_S = 12.0


@pytest.fixture
def proxy(
    bucket_server: BucketServer, bucket_address: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FaultProxy]:
    """A proxy in front of the server, which `bucket` goes through."""
    running = FaultProxy(urlsplit(bucket_server.endpoint).port or 0)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{running.port}")
    yield running
    running.stop()


@pytest.fixture
def bucket(proxy: FaultProxy, bucket_address: str) -> Bucket:
    return Bucket(BucketAddress.parse(bucket_address))


@pytest.mark.parametrize(
    "fault",
    ["cut", "500", "half", pytest.param("hang", marks=pytest.mark.slow), pytest.param("slow", marks=pytest.mark.slow)],
)  # fmt: skip
def test_every_fault_is_a_retryable_error_in_time(
    bucket: Bucket, proxy: FaultProxy, fault: Fault
) -> None:
    bucket.put("name", b"bars" * 10_000)
    proxy.arm(fault)

    for call in (
        bucket.get,
        bucket.status,
        lambda name: bucket.put(name, b"new"),
        lambda name: list(bucket.list()),
        bucket.delete,
        lambda name: bucket.copy(name, "copy"),
    ):
        began = monotonic()
        with pytest.raises(StoreUnavailable) as caught:
            call("name")
        assert caught.value.retryable
        assert monotonic() - began < MOST_S
        assert proxy.fault == fault


def test_a_bucket_that_answers_again_is_used_again(bucket: Bucket, proxy: FaultProxy) -> None:
    bucket.put("name", b"bars")
    proxy.arm("cut")
    with pytest.raises(StoreUnavailable):
        bucket.get("name")

    proxy.arm("none")

    assert bucket.get("name").content.to_pybytes() == b"bars"


def test_within_the_window_a_known_version_sends_no_request(
    bucket: Bucket, proxy: FaultProxy
) -> None:
    bucket.put("name", b"bars")
    checks = VersionChecks(bucket, window_s=60)
    known = checks.status("name")
    proxy.arm("cut")
    before = proxy.n_connections

    assert checks.status("name") == known
    assert proxy.n_connections == before


def test_after_the_window_a_change_is_noticed(bucket: Bucket) -> None:
    bucket.put("name", b"bars")
    checks = VersionChecks(bucket, window_s=0)
    old = checks.status("name")

    new = bucket.put("name", b"other bars")
    assert checks.status("name").version == new != old.version
    bucket.delete("name")
    with pytest.raises(FileMissing):
        checks.status("name")


def test_a_known_version_stays_in_use_while_the_bucket_is_away(
    bucket: Bucket, proxy: FaultProxy, tmp_path: Path
) -> None:
    bucket.put("name", b"bars")
    checks, copies = VersionChecks(bucket, window_s=0), LocalCopies(tmp_path / "objects", 2**20)
    copies.read(bucket, "name", checks.status("name").version)

    proxy.arm("cut")

    version = checks.status("name").version
    assert copies.read(bucket, "name", version).content.to_pybytes() == b"bars"
    with pytest.raises(StoreUnavailable):
        checks.status("another name")


def test_a_local_copy_is_read_without_a_request(
    bucket: Bucket, proxy: FaultProxy, tmp_path: Path
) -> None:
    version = bucket.put("name", b"bars")
    LocalCopies(tmp_path / "objects", 2**20).read(bucket, "name", version)
    proxy.arm("cut")

    # As another process would, which has checked nothing.
    found = LocalCopies(tmp_path / "objects", 2**20).read(bucket, "name", version)
    assert found.content.to_pybytes() == b"bars"


def test_a_damaged_copy_is_fetched_again(bucket: Bucket, tmp_path: Path) -> None:
    version = bucket.put("name", b"bars")
    LocalCopies(tmp_path / "objects", 2**20).read(bucket, "name", version)
    (copy,) = (path for path in (tmp_path / "objects").iterdir() if not path.suffix)
    copy.write_bytes(b"BARS" + copy.read_bytes()[4:])

    found = LocalCopies(tmp_path / "objects", 2**20).read(bucket, "name", version)

    assert found.content.to_pybytes() == b"bars"
    assert copy.read_bytes().startswith(b"bars")


def test_the_copies_stay_below_their_limit(bucket: Bucket, tmp_path: Path) -> None:
    copies = LocalCopies(tmp_path / "objects", 100_000)
    for number in range(40):
        version = bucket.put(f"{number}", b"%04d" % number * 1000)
        copies.read(bucket, f"{number}", version)

    kept = sum(copy.stat().st_size for copy in (tmp_path / "objects").iterdir())
    assert 80_000 < kept <= 100_000 + 100_000 // 16 + 4_100
    assert copies.find(bucket, "39", version) is not None
