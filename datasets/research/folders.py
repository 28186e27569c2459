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

DEFAULT_SOURCE = "tradingview"


@dataclass(frozen=True, slots=True)
class Place:
    """The folder of one source, below one datasets folder."""

    datasets: Path
    source: str

    @property
    def folder(self) -> Path:
        return self.datasets / self.source


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
    if given and outputs == outputs_folder():
        return _folder_of(given)
    return outputs / "state"


def check_source(source: str | None) -> str:
    """Return the source's name, `tradingview` for None; raise `InvalidRequest` for a wrong name."""
    return DEFAULT_SOURCE if source is None else bars.check_source(source)


def find_place(folder: str | Path | None = None, source: str | None = None) -> Place:
    """Return the folder of a source, `tradingview` by default.

    Raises `DatasetNotFound` where there is none: invented sample bars never stand in for real ones.
    """
    datasets = outputs_folder(folder) / "datasets"
    name = check_source(source)
    require_present(datasets, name)
    if (datasets / name).is_dir():
        return Place(datasets, name)
    sources = list_sources(datasets)
    there = ", ".join(repr(name) for name in sources)
    message = f"There are no bars of the source {name!r} in {datasets}; sources there: {there}."
    if "sample" in sources and source is None:
        message += " Sample bars are invented; ask for them with source='sample'."
    raise DatasetNotFound(message)


def require_present(datasets: Path, source: str) -> None:
    """Raise `FolderUnavailable` where no source has a folder, or the source's is an empty mount point."""
    folder = datasets / source
    if is_present(folder) or (list_sources(datasets) and not folder.is_dir()):
        return
    fetch = _fetch_sentence(["BINANCE:BTCUSDT"], "1h", DEFAULT_N_BARS, source)
    raise FolderUnavailable(
        f"There is no dataset at all in {folder}: nothing was fetched yet, or its disk is not mounted. {fetch}"
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
    names = sorted(path.name for path in place.folder.iterdir()) if place.folder.is_dir() else []
    for name in names:
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
    named = ", ".join(_described(key) for key in missing[:5])
    more = f" and {len(missing) - 5} more" if len(missing) > 5 else ""
    verb = "are" if len(missing) > 1 else "is"
    message = f"{named}{more} {verb} not among the {len(there)} datasets in {place.folder}."
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
