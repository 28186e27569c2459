"""One of several processes that replace the same dataset of a bucket at the same moment: `python -m … ADDRESS NUMBER OF`."""

from __future__ import annotations

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from datasets.errors import ObjectChanged
from datasets.storage import BucketAddress
from datasets.storage.bucket_store import BucketStore
from datasets.storage.buckets import LocalCopies
from tests.support.factories import a_key, bars_table, fetched_bars


def write(address: str, number: int, n_writers: int) -> str:
    """Replace the dataset once all writers have prepared their files; return the version, or nothing."""
    with TemporaryDirectory() as folder:
        store = BucketStore(BucketAddress.parse(address), LocalCopies(Path(folder), 2**30), 10)
        with store.prepared(a_key(n_bars=300), fetched_bars(bars_table(200 + number))) as prepared:
            store.outputs.put(f"ready/{number}", b"")
            while len(list(store.outputs.list("ready"))) < n_writers:
                pass
            try:
                return prepared.put_in_place().version
            except ObjectChanged:
                return ""


if __name__ == "__main__":
    sys.stdout.write(write(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
