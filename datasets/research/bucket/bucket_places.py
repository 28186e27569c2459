"""Datasets of a bucket as the loader reads them: copies in a local folder, brought up to date before a read."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from time import monotonic

from datasets.bars import DatasetKey
from datasets.errors import FileMissing, StoreFailed
from datasets.research.folders import Place
from datasets.research.reader import is_intact
from datasets.storage import (
    MAX_NAME_BYTES,
    SUFFIX,
    SUPERSEDED_SUFFIX,
    file_names,
    key_of,
    put,
    setting,
    status_of,
)
from datasets.storage.archives.archive_places import Archives
from datasets.storage.archives.bucket_archives import BucketArchives
from datasets.storage.bucket_address import BucketAddress
from datasets.storage.buckets import Bucket, BucketAccess, ListedObject, LocalCopies
from datasets.storage.file_copies import copies_folder, keep_copy, remove_copy, version_of_copy
from datasets.storage.paths import superseded_mark

# More series than this are looked for in one list of the whole source.
_MOST_LISTS = 8
_N_THREADS = 8
_DEFAULT_CHECK_S, _DEFAULT_CACHE_MB = 10.0, 2048
# Digits of the largest number of bars.
_MOST_DIGITS = 7
# The end of a dataset's name: its number of bars, and what is unusual in its series.
_END = re.compile(r"[0-9]+(?:_extended)?(?:_dividends|_none)?" + re.escape(SUFFIX) + "$")

# When this process has last compared the copies of a source, or of one series in it, with the bucket.
_compared: dict[tuple[Path, str], float] = {}


@dataclass(frozen=True, slots=True)
class BucketPlace(Place):
    """The datasets of one source in a bucket, and the folder of their copies on this machine.

    The place holds addresses only, so it can be pickled; each process makes its own client at its
    first request.
    """

    address: BucketAddress

    @classmethod
    def of(cls, address: BucketAddress, source: str) -> BucketPlace:
        """Return the place of a source, without any request."""
        # Two servers can have buckets of one name.
        origin = f"{BucketAccess.from_environment().endpoint}\n{address}"
        return cls(copies_folder(origin) / "datasets", source, address)

    @property
    def is_copied(self) -> bool:
        return True

    @property
    def where(self) -> str:
        return f"{self.address}/datasets/{self.source}"

    @property
    def archives(self) -> Archives:
        return _archives_of(self.address, self.datasets.parent, _check_s())

    def names(self) -> list[str]:
        """Return the names of all objects of the source in the bucket, sorted."""
        return [each.name for each in self._listed("")]

    def bring(self, keys: Sequence[DatasetKey] | None = None, *, is_fresh: bool = False) -> None:
        """Copy the files that can answer for these keys, or all files of the source, where they have changed.

        Copies that this process has compared with the bucket within `STORE_CHECK_S` seconds are not
        compared again, except with `is_fresh`. Raises `StoreUnavailable` while the bucket is away, and
        `StoreFailed` where the copies cannot be written.
        """
        wanted = [""]
        if keys is not None:
            wanted = list(dict.fromkeys(name for key in keys for name in _beginnings(key)))
        due = wanted if is_fresh else [name for name in wanted if self._is_due(name)]
        if not due:
            return
        at = monotonic()
        if due == [""] or len(due) > _MOST_LISTS:
            everything = self._listed("")
            marks = {each.name for each in everything if each.name.endswith(SUPERSEDED_SUFFIX)}
            found = [each for each in everything if _is_wanted(each.name, due)]
        else:
            marks = None
            found = [
                each for name in due for each in self._listed(name) if _is_wanted(each.name, due)
            ]
        try:
            self._copy(found, marks)
            self._remove_others({each.name for each in found}, due)
        except OSError as error:
            raise StoreFailed(
                f"The files of {self.where} cannot be kept in {self.folder} ({error.strerror}); "
                "XDG_CACHE_HOME names another place."
            ) from error
        _compared.update({(self.folder, name): at for name in due})

    def _is_due(self, name: str) -> bool:
        last = max(_compared.get((self.folder, each), float("-inf")) for each in ("", name))
        return monotonic() - last >= _check_s()

    def _listed(self, beginning: str) -> list[ListedObject]:
        """Return the objects of the source whose names begin so, with their names in its folder."""
        found, cut = [], len(self.source) + 1
        for each in self._bucket.list(self.source, after=beginning):
            name = each.name[cut:]
            if not name.startswith(beginning):
                break
            found.append(each._replace(name=name))
        return found

    def _copy(self, found: Sequence[ListedObject], marks: set[str] | None) -> None:
        def copy(each: ListedObject) -> None:
            path = self.folder / each.name
            if version_of_copy(path) != each.version or not self._is_intact(each.name):
                # Without the object the list was older; the next one is right.
                with suppress(FileMissing):
                    stored = self._bucket.get(f"{self.source}/{each.name}")
                    keep_copy(path, stored.content, stored.version)
            mark = superseded_mark(each.name)
            if marks is None or mark in marks or (self.folder / mark).exists():
                self._copy_mark(path, mark)

        with ThreadPoolExecutor(_N_THREADS) as pool:
            list(pool.map(copy, found))

    def _is_intact(self, name: str) -> bool:
        """Return whether a copy is whole; it is decoded once in each process."""
        try:
            return is_intact(self, key_of(f"{self.source}/{name}"))
        except ValueError:
            # The name has no key in it: the reader compares the bars.
            return True

    def _copy_mark(self, path: Path, mark: str) -> None:
        """Copy the mark of a superseded dataset; it counts for one version of the file."""
        version = ""
        with suppress(FileMissing, ValueError, KeyError):
            content = self._bucket.get(f"{self.source}/{mark}").content
            version = str(json.loads(content.to_pybytes())["version"])
        if not version or version != version_of_copy(path):
            (self.folder / mark).unlink(missing_ok=True)
            return
        status = status_of(path)
        document = {"name": path.name, "version": [status.n_bytes, status.modified_ns]}
        put(self.folder / mark, json.dumps(document).encode())

    def _remove_others(self, names: set[str], beginnings: Sequence[str]) -> None:
        """Remove the copies of files that are not in the bucket any more."""
        if not self.folder.is_dir():
            return
        for path in self.folder.glob(f"*{SUFFIX}"):
            if path.name not in names and _is_wanted(path.name, beginnings):
                remove_copy(path)

    @property
    def _bucket(self) -> Bucket:
        return Bucket(self.address).below("datasets")


def list_bucket_places(address: BucketAddress) -> list[BucketPlace]:
    """Return the places of all sources in a bucket. Raises `StoreUnavailable`."""
    names = {each.name.partition("/")[0] for each in Bucket(address).below("datasets").list()}
    return [BucketPlace.of(address, name) for name in sorted(names)]


def _beginnings(key: DatasetKey) -> list[str]:
    """Return the beginnings of the names of all datasets of the key's series, up to the number of bars."""
    names = file_names(key)
    # With more bars a long name has the hash of the symbol in it.
    names = names if len(names[0].encode()) > MAX_NAME_BYTES - _MOST_DIGITS else names[:1]
    return [_END.sub("", name) for name in names]


def _is_wanted(name: str, beginnings: Sequence[str]) -> bool:
    is_named = _END.search(name) is not None
    return is_named and ("" in beginnings or _END.sub("", name) in beginnings)


def _check_s() -> float:
    return float(setting("STORE_CHECK_S") or _DEFAULT_CHECK_S)


@lru_cache(maxsize=8)
def _archives_of(address: BucketAddress, copies: Path, check_s: float) -> BucketArchives:
    max_bytes = int(setting("STORE_CACHE_MB") or _DEFAULT_CACHE_MB) * 2**20
    return BucketArchives(address, LocalCopies(copies / "objects", max_bytes), check_s)
