"""Lock files: which content a study was made with, and a refusal of any other."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from datasets.bars import BAR_COLUMNS, KEY_FIELDS, DatasetKey
from datasets.bars.selection import Candidate, in_order
from datasets.errors import DatasetNotFound, FileCorrupt, InvalidRequest, LockMismatch
from datasets.research.folders import Place, outputs_folder, require_present
from datasets.research.reader import OpenFile, open_dataset, read_unverified, verify
from datasets.storage.atomic_write import put

LOCK_FORMAT = 1
_FACTS = ("content_hash", "n_rows", "first_time", "last_time", "fetched_at")


class HasEntries(Protocol):
    """Many datasets that were loaded at once."""

    @property
    def entries(self) -> list[dict[str, Any]]: ...


# What this process has loaded last, in order. What a thousand members say of themselves is
# not looked at until somebody wants to know.
_noted: dict[Hashable, dict[str, Any] | HasEntries] = {}
# What it has loaded before that: the latest of each dataset, so that a process that loads a
# panel again and again does not hold all of them.
_older: dict[Hashable, dict[str, Any]] = {}
_MAX_NOTED = 64


def note(facts: Mapping[str, Any]) -> None:
    """Remember a dataset that was loaded, for a lock file of everything."""
    _note(tuple(facts["key"].values()), entry_of(facts["key"], facts))


def note_many(name: str, members: HasEntries) -> None:
    """Remember a panel that was loaded, by a name that its content has."""
    _note(name, members)


def _note(name: Hashable, loaded: dict[str, Any] | HasEntries) -> None:
    # At the end again, for the latest is what a lock file says.
    _noted.pop(name, None)
    _noted[name] = loaded
    while len(_noted) > _MAX_NOTED:
        for entry in _entries_of(_noted.pop(next(iter(_noted)))):
            _older[_key(entry)] = entry


def _all_noted() -> Iterable[dict[str, Any]]:
    yield from _older.values()
    for loaded in _noted.values():
        yield from _entries_of(loaded)


def _entries_of(loaded: dict[str, Any] | HasEntries) -> list[dict[str, Any]]:
    return [loaded] if isinstance(loaded, dict) else loaded.entries


def entry_of(key: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a lock file says of one dataset."""
    return {name: key[name] for name in KEY_FIELDS} | {name: facts[name] for name in _FACTS}


def _key(entry: Mapping[str, Any]) -> DatasetKey:
    return DatasetKey.from_dict(entry)


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock file, read."""

    path: Path
    entries: dict[DatasetKey, dict[str, Any]]

    def pin(self, wanted: DatasetKey) -> DatasetKey:
        """Return the key in the lock that the wanted one means; raise where there is none."""
        series = [key for key in self.entries if _is_series(key, wanted)]
        # `load` may have taken the newest bars of a larger dataset.
        found = in_order(series, wanted.n_bars, self._described)
        if not found:
            raise LockMismatch(
                f"{wanted.full_symbol} {wanted.timeframe} is not in {self.path.name}, which locks "
                f"{len(self.entries)} datasets. Load it without the lock, then write_lock again."
            )
        return found[0]

    def _described(self, key: DatasetKey) -> Candidate:
        entry = self.entries[key]
        fetched_at = datetime.fromisoformat(entry["fetched_at"])
        return Candidate(key.n_bars, entry["n_rows"], fetched_at)

    def open(self, place: Place, key: DatasetKey) -> OpenFile:
        """Open the file of a key in the lock; raise `LockMismatch` for other content."""
        opened = open_dataset(place, key)
        self.check(opened.facts)
        return opened

    def check(self, facts: Mapping[str, Any]) -> None:
        """Raise `LockMismatch` unless the dataset is the very one that was locked."""
        now = entry_of(facts["key"], facts)
        locked = self.entries.get(_key(now))
        if locked is None:
            raise LockMismatch(f"{_name(now)} is not in {self.path.name}.")
        change = _change(locked, now)
        if change:
            raise LockMismatch(f"{change} Locked in {self.path.name}.")


def _is_series(key: DatasetKey, wanted: DatasetKey) -> bool:
    names = ("source", "exchange", "symbol", "timeframe", "session", "adjustment")
    return all(getattr(key, name) == getattr(wanted, name) for name in names)


def _name(entry: Mapping[str, Any]) -> str:
    return f"{_key(entry)} ({entry['source']})"


def _change(locked: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return what differs, in one sentence; empty for equal content."""
    if locked["content_hash"] == now["content_hash"]:
        return ""
    said = {
        "n_rows": "bars",
        "first_time": "first bar",
        "last_time": "last bar",
        "fetched_at": "fetched",
    }
    changes = [
        f"{word} {locked[name]} → {now[name]}"
        for name, word in said.items()
        if locked[name] != now[name]
    ]
    if all(locked[name] == now[name] for name in ("n_rows", "first_time", "last_time")):
        changes.append("the same range of bars, other values in it")
    changes.append(f"content {locked['content_hash'][:12]} → {now['content_hash'][:12]}")
    return f"{_name(now)} has changed: {'; '.join(changes)}."


def read_lock(path: str | Path) -> Lock:
    """Read a lock file."""
    path = Path(path)
    try:
        document = json.loads(path.read_text())
        if document["format"] != LOCK_FORMAT:
            raise ValueError(document["format"])
        entries = {_key(entry): entry for entry in document["datasets"]}
    except FileNotFoundError:
        message = f"{path} is not there; write_lock({path.name!r}) makes it."
        raise InvalidRequest({"lock": [message]}) from None
    except OSError as error:
        raise InvalidRequest({"lock": [f"{path} cannot be read ({error.strerror})."]}) from error
    except (InvalidRequest, KeyError, TypeError, ValueError) as error:
        raise InvalidRequest({"lock": [f"{path} is no lock file."]}) from error
    return Lock(path, entries)


def write_lock(path: str | Path, *loaded: pd.DataFrame | pd.Series) -> int:
    """Write which content was loaded, and return how many datasets that is.

    Parameters
    ----------
    path
        `study.lock`: JSON, to be committed with the study. Replaced when it is there.
    loaded
        Frames of `load` and `load_panel`. Without any, all that this process has loaded.
    """
    by_key: dict[DatasetKey, dict[str, Any]] = {}
    for entry in _entries(loaded) if loaded else _all_noted():
        before = by_key.get(_key(entry), entry)
        # Frames of a study belong together; in a whole session the latest counts.
        if loaded and before["content_hash"] != entry["content_hash"]:
            message = f"It was loaded with two contents: {_change(before, entry)} Load it once."
            raise InvalidRequest({"loaded": [message]})
        by_key[_key(entry)] = entry
    chosen = [by_key[key] for key in sorted(by_key, key=str)]
    document = {"format": LOCK_FORMAT, "datasets": chosen}
    try:
        put(Path(path), (json.dumps(document, indent=1) + "\n").encode())
    except OSError as error:
        message = f"{path} cannot be written ({error.strerror})."
        raise InvalidRequest({"path": [message]}) from error
    return len(chosen)


def _entries(loaded: Iterable[pd.DataFrame | pd.Series]) -> Iterable[dict[str, Any]]:
    for frame in loaded:
        # An arrow table or an array has none.
        attrs = getattr(frame, "attrs", {})
        if "members" in attrs:
            yield from attrs["members"].entries
        elif "content_hash" in attrs:
            said = {str(name): value for name, value in attrs.items()}
            base = said.get("resampled_from") or said["timeframe"]
            yield entry_of(said | {"timeframe": base}, said)
        else:
            message = "A frame does not say where it comes from: its attrs are gone."
            raise InvalidRequest({"loaded": [message]})


def verify_lock(path: str | Path, *, folder: str | Path | None = None) -> list[str]:
    """Compare all locked datasets with the files, bar by bar; return a sentence for each that differs."""
    lock = read_lock(path)
    datasets = outputs_folder(folder) / "datasets"
    sentences = []
    for source in {key.source for key in lock.entries}:
        require_present(datasets, source)
    for key, locked in lock.entries.items():
        place = Place(datasets, key.source)
        try:
            with open_dataset(place, key) as opened:
                change = _change(locked, entry_of(opened.facts["key"], opened.facts))
                verify(opened, read_unverified(opened, BAR_COLUMNS))
        except DatasetNotFound:
            change = f"{_name(locked)} is not there."
        except FileCorrupt as error:
            change = str(error)
        if change:
            sentences.append(change)
    return sentences
