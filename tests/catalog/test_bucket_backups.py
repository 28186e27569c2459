"""Backups of a service whose files are in a bucket: with copies of the objects, and with a list of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from datasets.storage import BucketAddress, mark
from datasets.storage.bucket_store import BucketStore
from datasets.storage.buckets import Bucket, LocalCopies
from tests.support import servers
from tests.support.archives import plain_bars, scaled
from tests.support.bucket_archives import bucket_archive
from tests.support.buckets import BucketServer
from tests.support.factories import a_key, bars_table, fetched_bars
from tests.support.servers import Need
from tests.support.stacks import Feed, Stack

pytestmark = pytest.mark.slow


class Service:
    """A service on a bucket and PostgreSQL, with two datasets and an archive of two generations."""

    def __init__(self, folder: Path, feed: Feed, database_url: str, server: BucketServer) -> None:
        self.folder, self.address = folder, server.empty_place()
        env = {**server.env, "STATE_DIR": str(folder / "state"), "OUTPUTS_URL": self.address}
        self.stack = Stack(folder, feed, DATABASE_URL=database_url, **env)
        self.bucket = Bucket(BucketAddress.parse(self.address))
        self.write(300)
        self.write(301)
        archive = bucket_archive(self.address, folder / "host", folder / "locks", source="sample")
        archive.merge(plain_bars(range(60)))
        archive.merge(scaled(plain_bars(range(62)), 0.25))
        archive.merge(scaled(plain_bars(range(64)), 0.25))
        self.stack.manage("datasets", "rebuild")

    def write(self, n_bars: int, *, n_rows: int = 0) -> None:
        store = BucketStore(self.bucket.address, LocalCopies(self.folder / "written", 2**30), 10)
        store.write(a_key(n_bars=n_bars), fetched_bars(bars_table(n_rows or n_bars)))

    def objects(self) -> dict[str, bytes]:
        """Return the content of each dataset and each file of the archive."""
        return {
            each.name: self.bucket.get(each.name).content.to_pybytes()
            for folder in ("datasets", "archive")
            for each in self.bucket.list(folder)
            # The marker of the archives' folder is made again where it is missing.
            if each.name != "archive/sample/.datasets"
        }

    def counts(self, **env: str) -> object:
        found = self.stack.manage("datasets", "verify", "--json", check=True, **env).stdout
        return json.loads(found)["counts"]


@pytest.fixture
def service(
    tmp_path: Path, feed: Feed, need: Need, postgresql_url: str, bucket_server: BucketServer,
    bucket_address: str,
) -> Iterator[Service]:  # fmt: skip
    need("pg_dump")
    yield Service(tmp_path, feed, servers.new_database(postgresql_url, "backup"), bucket_server)


def test_a_lost_bucket_is_restored_from_the_copies_into_a_bucket_or_a_folder(
    service: Service, tmp_path: Path
) -> None:
    before, backup = service.objects(), tmp_path / "backup"
    assert any("_generations/1/" in name for name in before)

    done = service.stack.manage("backup", str(backup))
    assert done.stdout == f"{len(before)} files and the catalog are in {backup}.\n"
    assert {name: (backup / name).read_bytes() for name in before} == before
    refused = service.stack.manage("restore", str(backup), check=False)
    assert f"There is data in {service.address}/datasets" in refused.stderr

    # The bucket is lost.
    for each in list(service.bucket.list()):
        service.bucket.delete(each.name)
    assert service.stack.manage("restore", "--force", str(backup)).stderr == ""
    assert service.objects() == before
    assert service.counts() == {"ok": 2}

    # Over present data: these are moved aside.
    service.write(300, n_rows=299)
    service.stack.manage("restore", "--force", str(backup))
    assert service.objects() == before
    aside = [each.name for each in service.bucket.list() if ".before-restore-" in each.name]
    assert len(aside) == len(before)

    # The same backup moves the service to a folder.
    elsewhere = {"OUTPUTS_URL": str(tmp_path / "elsewhere"), "DATABASE_URL": ""}
    moved = service.stack.manage("restore", str(backup), check=True, **elsewhere)
    assert "rebuilt from the" in moved.stderr
    assert service.counts(**elsewhere) == {"ok": 2}
    kept = {name: (tmp_path / "elsewhere" / name).read_bytes() for name in before}
    assert kept == before


def test_a_list_of_the_objects_names_every_object_that_is_not_as_it_was(
    service: Service, tmp_path: Path
) -> None:
    before, backup = service.objects(), tmp_path / "list"

    done = service.stack.manage("backup", "--without-files", str(backup))

    assert done.stdout == f"A list of {len(before)} objects and the catalog are in {backup}.\n"
    listed = json.loads((backup / "backup.json").read_bytes())
    assert sorted(path.name for path in backup.iterdir()) == ["backup.json", "state"]
    assert {name: each["sha256"] for name, each in listed["objects"].items()} == {
        name: sha256(content).hexdigest() for name, content in before.items()
    }
    assert service.stack.manage("restore", "--force", str(backup)).stderr == ""
    assert service.counts() == {"ok": 2}

    [first, second] = sorted(name for name in before if "BTCUSDT" in name)
    service.write(300, n_rows=299)
    service.bucket.delete(second)
    changed = service.stack.manage("restore", "--force", str(backup), check=False)
    assert changed.returncode == 1
    assert f"{first} has other bytes than at the backup" in changed.stderr
    assert f"{second} is not in the bucket any more" in changed.stderr
    assert "2 objects are not those of the backup" in changed.stderr

    wrong = service.stack.manage(
        "restore", "--force", str(backup), check=False, OUTPUTS_URL=f"{service.address}-2"
    )
    assert "OUTPUTS_URL may name another bucket. Nothing was restored." in wrong.stderr
    folder = {"OUTPUTS_URL": str(tmp_path / "elsewhere"), "DATABASE_URL": ""}
    refused = service.stack.manage("restore", str(backup), check=False, **folder)
    assert f"they are in {service.address}" in refused.stderr
    for name in ("datasets", "archive"):
        mark(tmp_path / "elsewhere" / name / "sample")
    in_folder = {"OUTPUTS_URL": folder["OUTPUTS_URL"]}
    refused = service.stack.manage("backup", "--without-files", str(tmp_path / "none"), check=False, **in_folder)  # fmt: skip
    assert "is for a bucket that keeps its own versions" in refused.stderr
