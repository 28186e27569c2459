"""The datasets' files: the only module that touches anything under the datasets folder.

A file is replaced, never edited, and says everything about itself in its own metadata, so
that the catalog can be made anew from the files alone. Knows no catalog and no network.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from datasets import bars
from datasets.bars import Adjustment, DatasetKey, FetchedBars, Instrument, Session, Timeframe
from datasets.errors import FileCorrupt, FileMissing, InvalidRequest, StoreFailed

# One JSON document under this key of the parquet file's own metadata.
METADATA_KEY = b"tradingview_dataset"
METADATA_FORMAT = 1
SUFFIX = ".parquet"
# Longest file name that common file systems hold, in bytes.
MAX_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a dataset's file says of itself."""

    key: DatasetKey
    content_hash: str
    n_rows: int
    first_time: datetime
    last_time: datetime
    last_bar_final: bool | None
    fetched_at: datetime
    instrument: Instrument
    is_limited: bool
    n_duplicates: int
    n_inconsistent: int
    zero_volume_share: float | None
    largest_gap_s: int | None
    tvdatafeed_version: str


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file on disk: what it says of itself, and what tells it from a later one."""

    facts: FileFacts
    bytes: int
    modified_ns: int


def relative_path(key: DatasetKey) -> str:
    """Return the key's file below the datasets folder, such as `sample/BINANCE_BTCUSDT_1h_5000.parquet`.

    Two keys never share a path, also where the file system folds case, and no key leaves
    the folder: whatever a file name cannot hold is percent-encoded.
    """
    parts = [key.exchange, _encode(key.symbol), key.timeframe.value, str(key.n_bars)]
    if key.session is not Session.REGULAR:
        parts.append(key.session.value)
    if key.adjustment is not Adjustment.SPLITS:
        parts.append(key.adjustment.value)
    name = "_".join(parts) + SUFFIX
    if len(name) > MAX_NAME_BYTES:
        raise InvalidRequest({"symbol": ["This symbol is too long for a file name."]})
    return f"{key.source}/{name}"


def _encode(symbol: str) -> str:
    # `_` separates the parts of the name, and dots in a row would read as a parent folder.
    encoded = quote(symbol, safe="!").replace("_", "%5F").replace("~", "%7E")
    return re.sub(r"\.(?=\.)|(?<=\.)\.", "%2E", encoded)


def key_of(path: str) -> DatasetKey:
    """Return the key whose `relative_path` is `path`; raise `ValueError` for any other text."""
    source, _, name = path.partition("/")
    parts = name.removesuffix(SUFFIX).split("_")
    adjustment, session = Adjustment.SPLITS, Session.REGULAR
    if parts[-1] in (Adjustment.DIVIDENDS, Adjustment.NONE):
        adjustment = Adjustment(parts.pop())
    if parts[-1] == Session.EXTENDED:
        session = Session(parts.pop())
    *exchange, symbol, timeframe, n_bars = parts
    key = DatasetKey(
        source=source,
        exchange="_".join(exchange),
        symbol=unquote(symbol),
        timeframe=Timeframe(timeframe),
        n_bars=int(n_bars),
        session=session,
        adjustment=adjustment,
    )
    if relative_path(key) != path:
        raise ValueError(f"{path!r} is not the path of a dataset")
    return key


class Store:
    """The datasets below one folder.

    Parameters
    ----------
    folder
        `outputs/datasets`; made when the first file is written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, key: DatasetKey) -> Path:
        """Return where the key's file is, or would be."""
        return self.folder / relative_path(key)

    def write(self, key: DatasetKey, fetched: FetchedBars) -> StoredFile:
        """Write the key's file and return what is on disk then.

        A reader sees the old file or the new one, never a part. When this returns, the
        file survives a power cut. Raises `StoreFailed`; the old file is then untouched.
        """
        path = self.path(key)
        with _store_failures(path):
            facts = describe(key, fetched)
            metadata = {METADATA_KEY: json.dumps(_to_json(facts), sort_keys=True).encode()}
            table = fetched.table.replace_schema_metadata(metadata)
            path.parent.mkdir(parents=True, exist_ok=True)
            # Opened first: once the file is replaced nothing may be missing any more.
            with _opened(path.parent) as folder:
                status = _replace(path, table)
                os.fsync(folder)
        return StoredFile(facts, status.st_size, status.st_mtime_ns)

    def all_paths(self) -> Iterator[str]:
        """Yield the relative path of every file that is named as a dataset, sorted."""
        for path in sorted(self.folder.glob(f"*/*{SUFFIX}")):
            yield path.relative_to(self.folder).as_posix()

    def delete(self, path: str) -> None:
        """Delete the file at `path` (relative), if it is there. Raises `StoreFailed`."""
        try:
            (self.folder / path).unlink(missing_ok=True)
        except OSError as error:
            raise StoreFailed(
                f"{path} could not be deleted: {error.strerror}. It is still there, and in the catalog."
            ) from error

    def quarantine(self, path: str) -> Path:
        """Move the file at `path` (relative), if it is there, away and return where it is then.

        Nothing is lost: it lies under `quarantine/` beside the datasets, with the time in its name.
        """
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S%fZ")
        target = self.folder.parent / "quarantine" / f"{path}.{stamp}"
        with _store_failures(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with suppress(FileNotFoundError):
                (self.folder / path).rename(target)
        return target

    def remove_strays(self) -> int:
        """Remove temporary files whose writer is dead; return how many there were."""
        n_removed = 0
        for path in self.folder.glob("*/.*.tmp"):
            with suppress(FileNotFoundError, BlockingIOError), path.open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
                n_removed += 1
        return n_removed

    def free_bytes(self) -> int:
        """Return the bytes that are free on the datasets' disk."""
        folder = self.folder if self.folder.exists() else self.folder.parent
        return shutil.disk_usage(folder).free

    def keep_reply(self, name: str, reply: bytes) -> None:
        """Keep a reply that could not be understood, for the operator, beside the datasets."""
        folder = self.folder.parent / "rejected"
        with _store_failures(folder / name):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{name}.txt").write_bytes(reply)

    def read(self, path: str) -> tuple[pa.Table, StoredFile]:
        """Return the bars of the file at `path` (relative), and what is on disk there.

        The table has `BAR_SCHEMA`, oldest bar first. Raises `FileMissing` when somebody
        deleted the file, and `FileCorrupt` when it cannot be read, holds other bars than
        were written, or those of another key.
        """
        while True:
            version = self.version(path)
            try:
                table, facts = self._read_once(path)
            except FileCorrupt:
                # Unless it was being replaced just then, it really is.
                if version == self.version(path):
                    raise
                continue
            if version == self.version(path):
                return table, StoredFile(facts, *version)

    def _read_once(self, path: str) -> tuple[pa.Table, FileFacts]:
        with _open(self.folder / path) as file:
            facts = _facts_of(file, path)
            if relative_path(facts.key) != path:
                raise FileCorrupt(f"{path} is the file of {facts.key}.")
            if not file.schema_arrow.remove_metadata().equals(bars.BAR_SCHEMA):
                raise FileCorrupt(f"{path} does not have the columns of a dataset.")
            try:
                table = file.read(use_threads=False).replace_schema_metadata(None)
            except (pa.ArrowException, OSError) as error:
                raise FileCorrupt(f"{path} cannot be read to its end.") from error
        if bars.content_hash(table) != facts.content_hash:
            raise FileCorrupt(f"{path} does not hold the bars that were written.")
        return table, facts

    def version(self, path: str) -> tuple[int, int]:
        """Return size and modification time (ns) of the file at `path` (relative).

        Raises `FileMissing`.
        """
        try:
            status = (self.folder / path).stat()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise FileMissing(f"{path} is not there.") from error
        return status.st_size, status.st_mtime_ns


def describe(key: DatasetKey, fetched: FetchedBars) -> FileFacts:
    """Return what the file of `fetched` will say of itself."""
    times = fetched.table["time"]
    return FileFacts(
        key=key,
        content_hash=bars.content_hash(fetched.table),
        n_rows=fetched.table.num_rows,
        first_time=times[0].as_py(),
        last_time=times[-1].as_py(),
        last_bar_final=fetched.last_bar_final,
        fetched_at=fetched.fetched_at,
        instrument=fetched.instrument,
        is_limited=fetched.is_limited,
        n_duplicates=fetched.n_duplicates,
        n_inconsistent=bars.count_inconsistent(fetched.table),
        zero_volume_share=bars.zero_volume_share(fetched.table),
        largest_gap_s=bars.largest_gap_s(fetched.table),
        tvdatafeed_version=_tvdatafeed_version(),
    )


@cache
def _tvdatafeed_version() -> str:
    # Looked up among all installed packages, which takes longer than writing the file.
    return version("tradingview-datafeed")


def _replace(path: Path, table: pa.Table) -> os.stat_result:
    while True:
        # In the same folder, so that the replacing is one rename.
        temporary = path.parent / f".{uuid4().hex}.tmp"
        try:
            status = _write_durably(table, temporary)
            if status is not None:
                temporary.replace(path)
                return status
        finally:
            temporary.unlink(missing_ok=True)


def _write_durably(table: pa.Table, path: Path) -> os.stat_result | None:
    """Write and sync a new file; return None when it was taken for a stray right away."""
    # Not by `mkstemp`: its files are readable by their owner only, and the web process
    # may be another user.
    with path.open("xb") as file:
        # Held until the file is closed, also by a kill: what is not held is a stray.
        fcntl.flock(file, fcntl.LOCK_EX)
        if not os.fstat(file.fileno()).st_nlink:
            # A worker that was starting came between the two lines above.
            return None
        # Measured for 5,000 bars: zstd without a dictionary is the smallest and the fastest.
        pq.write_table(table, file, compression="zstd", use_dictionary=False)
        file.flush()
        os.fsync(file.fileno())
        return os.fstat(file.fileno())


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Open a folder; syncing it makes a rename in it survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _store_failures(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "the write failed"
        raise StoreFailed(
            f"{path.name} could not be written: {reason}. Nothing was changed; "
            "make room or mend the folder's permissions, then fetch again."
        ) from error


@contextmanager
def _open(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            yield file
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileMissing(f"{path.name} is not there.") from error
    except (pa.ArrowException, OSError) as error:
        # Too many open files, or a disk that does not answer, says nothing of this file.
        if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
            reason = os.strerror(error.errno)
            raise StoreFailed(f"{path.name} could not be read: {reason}.") from error
        raise FileCorrupt(f"{path.name} is no readable parquet file.") from error


def _facts_of(file: pq.ParquetFile, path: str) -> FileFacts:
    metadata = file.schema_arrow.metadata or {}
    try:
        return _from_json(json.loads(metadata[METADATA_KEY]))
    except (KeyError, TypeError, ValueError) as error:
        raise FileCorrupt(f"{path} does not say which dataset it is.") from error


def _to_json(facts: FileFacts) -> dict[str, Any]:
    document = asdict(facts) | {"format": METADATA_FORMAT, "key": facts.key.as_dict()}
    for name in ("first_time", "last_time", "fetched_at"):
        document[name] = document[name].isoformat()
    return document


def _from_json(document: dict[str, Any]) -> FileFacts:
    if document.pop("format") != METADATA_FORMAT:
        raise ValueError("unknown format")
    for name in ("first_time", "last_time", "fetched_at"):
        document[name] = datetime.fromisoformat(document[name])
    key = document.pop("key")
    key["timeframe"] = Timeframe(key["timeframe"])
    key["session"] = Session(key["session"])
    key["adjustment"] = Adjustment(key["adjustment"])
    instrument = Instrument.from_dict(document.pop("instrument"))
    return FileFacts(key=DatasetKey(**key), instrument=instrument, **document)
