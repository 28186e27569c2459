"""Folders of datasets: their location, the datasets in them, and errors for missing ones."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from datasets import bars
from datasets.bars import Adjustment, DatasetKey, Session
from datasets.bars.selection import DEFAULT_N_BARS
from datasets.errors import DatasetNotFound, FileCorrupt, FolderUnavailable, InvalidRequest
from datasets.storage import (
    METADATA_KEY,
    PROJECT,
    folder_of,
    from_document,
    is_hashed,
    is_present,
    key_of,
    map_file,
    setting,
)
from datasets.storage.archives.archive_places import Archives, FolderArchives
from datasets.storage.bucket_address import SCHEME, BucketAddress

DEFAULT_SOURCE = "tradingview"


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one source, below one datasets folder."""

    datasets: Path
    source: str

    @property
    def folder(self) -> Path:
        return self.datasets / self.source

    @property
    def where(self) -> str:
        return str(self.folder)

    @property
    def is_copied(self) -> bool:
        """Whether the folder holds copies, which `bring` compares with their originals."""
        return False

    @property
    def archives(self) -> Archives:
        return FolderArchives(self.datasets.parent / "archive")

    def names(self) -> list[str]:
        """Return the names of all files of the source, sorted."""
        return sorted(path.name for path in self.folder.iterdir()) if self.folder.is_dir() else []

    def bring(self, keys: Sequence[DatasetKey] | None = None, *, is_fresh: bool = False) -> None:
        """Bring the copies of the files that can answer for these keys up to date, of all for None."""


def outputs_bucket(folder: str | Path | None = None) -> BucketAddress | None:
    """Return the place in a bucket that `folder`, or else `OUTPUTS_URL`, names; None for a folder.

    Raises `InvalidRequest` for an address of a bucket that is wrong.
    """
    given = str(folder or setting("OUTPUTS_URL"))
    if isinstance(folder, Path) or not given.startswith(f"{SCHEME}://"):
        return None
    try:
        return BucketAddress.parse(given)
    except ValueError as error:
        message = f"{given!r} is no place in a bucket; write it such as s3://bucket/prefix."
        raise InvalidRequest({"folder": [message]}) from error


def outputs_folder(folder: str | Path | None = None) -> Path:
    """Return the outputs folder: the one given, else `OUTPUTS_URL`, else the project's own.

    `OUTPUTS_URL` is read from the environment and from `.env`, as `datasets.storage.locations` describes.
    Raises `InvalidRequest` for a text that names no folder of this machine.
    """
    if isinstance(folder, Path):
        return folder.expanduser().resolve()
    given = folder or setting("OUTPUTS_URL")
    return _folder_of(given) if given else PROJECT / "outputs"


def _folder_of(text: str) -> Path:
    try:
        return folder_of(text)
    except ValueError as error:
        message = (
            f"{text!r} is no folder of this machine; use a folder, file:///folder, "
            "or url= for a service."
        )
        raise InvalidRequest({"folder": [message]}) from error


def state_folder(outputs: Path) -> Path:
    """Return the folder of caches: `STATE_DIR`, else `state/` in the outputs folder."""
    given = setting("STATE_DIR")
    # `STATE_DIR` belongs to the configured outputs folder; another one has its own state.
    if given and outputs_bucket() is None and outputs == outputs_folder():
        return _folder_of(given)
    return outputs / "state"


def check_source(source: str | None) -> str:
    """Return the source's name, `tradingview` for None; raise `InvalidRequest` for a wrong name."""
    return DEFAULT_SOURCE if source is None else bars.check_source(source)


def find_place(folder: str | Path | None = None, source: str | None = None) -> Place:
    """Return the folder of a source, `tradingview` by default.

    Raises `DatasetNotFound` where there is none: invented sample bars never stand in for real ones.
    """
    name = check_source(source)
    address = outputs_bucket(folder)
    if address is not None:
        return _in_bucket(address, name)
    datasets = outputs_folder(folder) / "datasets"
    require_present(datasets, name)
    if (datasets / name).is_dir():
        return Place(datasets, name)
    raise _no_source(str(datasets), name, list_sources(datasets))


def _in_bucket(address: BucketAddress, source: str) -> Place:
    # Imported here: the client takes 70 ms and 13 MB, which a reader of a folder does not need.
    from datasets.research.bucket import BucketPlace

    return BucketPlace.of(address, source)


def list_places(folder: str | Path | None = None, source: str | None = None) -> list[Place]:
    """Return the folders of all sources, or of one, with the files of each brought up to date.

    Raises `FolderUnavailable` where there is no dataset at all.
    """
    address = outputs_bucket(folder)
    if source is not None:
        places = [find_place(folder, source)]
    elif address is None:
        datasets = outputs_folder(folder) / "datasets"
        for name in list_sources(datasets) or [DEFAULT_SOURCE]:
            require_present(datasets, name)
        return [Place(datasets, name) for name in list_sources(datasets)]
    else:
        from datasets.research.bucket import list_bucket_places

        places = [*list_bucket_places(address)]
    for place in places:
        place.bring()
    if address is not None and not any(place.names() for place in places):
        raise _nothing_at_all(str(address), source or DEFAULT_SOURCE)
    return places


def _no_source(datasets: str, source: str, sources: Sequence[str]) -> DatasetNotFound:
    there = ", ".join(repr(name) for name in sources)
    message = f"There are no bars of the source {source!r} in {datasets}; sources there: {there}."
    if "sample" in sources and source == DEFAULT_SOURCE:
        message += " Sample bars are invented; ask for them with source='sample'."
    return DatasetNotFound(message)


def require_place(folder: str | Path | None, source: str) -> None:
    """Raise `FolderUnavailable` where the folder of the source, or the bucket, has no dataset at all."""
    address = outputs_bucket(folder)
    if address is None:
        require_present(outputs_folder(folder) / "datasets", source)
    elif not _in_bucket(address, source).names():
        raise _nothing_at_all(f"{address}/datasets/{source}", source)


def require_present(datasets: Path, source: str) -> None:
    """Raise `FolderUnavailable` where no source has a folder, or the source's is an empty mount point."""
    folder = datasets / source
    if is_present(folder) or (list_sources(datasets) and not folder.is_dir()):
        return
    raise _nothing_at_all(str(folder), source)


def _nothing_at_all(where: str, source: str) -> FolderUnavailable:
    fetch = _fetch_sentence(["BINANCE:BTCUSDT"], "1h", DEFAULT_N_BARS, source)
    return FolderUnavailable(
        f"There is no dataset at all in {where}: nothing was fetched yet, or its disk is not mounted. {fetch}"
    )


def list_sources(datasets: Path) -> list[str]:
    """Return the names of the folders that hold datasets."""
    if not datasets.is_dir():
        return []
    return sorted(path.name for path in datasets.iterdir() if path.is_dir())


def list_keys(place: Place) -> list[DatasetKey]:
    """Return the key of every dataset in the folder, sorted by the file's name.

    Files that are no datasets are left out.
    """
    found = []
    for name in place.names():
        path = f"{place.source}/{name}"
        try:
            if is_hashed(path):
                # The name holds only a hash of the symbol: the key is in the file's metadata.
                metadata = pq.read_schema(map_file(place.datasets / path)[1]).metadata or {}
                found.append(from_document(metadata[METADATA_KEY]).key)
            else:
                found.append(key_of(path))
        except (FileNotFoundError, FileCorrupt, pa.ArrowException, KeyError, TypeError, ValueError):
            continue
    return found


def not_found(place: Place, missing: Sequence[DatasetKey]) -> DatasetNotFound:
    """Return the error that names the missing datasets, close matches, and the command that fetches."""
    first = missing[0]
    there = list_keys(place)
    if not there and place.is_copied:
        return _nothing_at_all(place.where, place.source)
    named = ", ".join(_described(key) for key in missing[:5])
    more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    verb = "are" if len(missing) > 1 else "is"
    message = f"{named}{more} {verb} not among the {len(there)} datasets in {place.where}."
    close = list(dict.fromkeys(text for key in missing[:5] for text in _close_matches(key, there)))
    if close:
        message += f" Close: {'; '.join(close[:6])}."
    symbols = list(dict.fromkeys(key.full_symbol for key in missing))
    sentence = _fetch_sentence(
        symbols,
        first.timeframe.label,
        first.n_bars or DEFAULT_N_BARS,
        place.source,
        first.session,
        first.adjustment,
    )
    return DatasetNotFound(f"{message} {sentence}")


def _described(key: DatasetKey) -> str:
    """Return a key in words; default values are left out."""
    parts = [key.full_symbol, key.timeframe.label]
    if key.n_bars:
        parts.append(f"with {key.n_bars} bars")
    if key.session is not Session.REGULAR:
        parts.append(f"session={key.session.value}")
    if key.adjustment is not Adjustment.SPLITS:
        parts.append(f"adjustment={key.adjustment.value}")
    return " ".join(parts)


def _close_matches(missing: DatasetKey, there: Iterable[DatasetKey]) -> list[str]:
    """Return the datasets most similar to a missing one: first of its own symbol, then of similar names."""
    of_symbol: dict[str, list[DatasetKey]] = {}
    for key in there:
        of_symbol.setdefault(key.full_symbol, []).append(key)
    names = list(of_symbol)
    # A wrong exchange is the most frequent mistake, and such names are not similar as text.
    same_code = [name for name in names if name.partition(":")[2] == missing.symbol]
    similar = difflib.get_close_matches(missing.full_symbol, names, n=4, cutoff=0.6)
    close = []
    for name in dict.fromkeys([*same_code, *similar]):
        keys = sorted(of_symbol[name], key=lambda key: key.timeframe is not missing.timeframe)
        close += [_described(key) for key in keys[:4]]
    return close


def _fetch_sentence(
    symbols: Sequence[str],
    timeframe: str,
    n_bars: int,
    source: str,
    session: Session = Session.REGULAR,
    adjustment: Adjustment = Adjustment.SPLITS,
) -> str:
    if source == bars.IMPORTED:
        name = shlex.quote(symbols[0])
        return f"Import it: python manage.py import FILE --symbol {name} --timeframe {timeframe}"
    names = " ".join(
        shlex.quote(name) if re.search(r"[^\w:.!-]", name) else name for name in symbols[:10]
    )
    rest = " …" if len(symbols) > 10 else ""
    command = f"python manage.py fetch {names}{rest} -t {timeframe} -n {n_bars}"
    if session is not Session.REGULAR:
        command += f" --session {session.value}"
    if adjustment is not Adjustment.SPLITS:
        command += f" --adjustment {adjustment.value}"
    prefix = "" if source == DEFAULT_SOURCE else f"TV_SOURCE={source} "
    return f"Fetch it: {prefix}{command}"
