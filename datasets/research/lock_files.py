"""Lock files: the datasets and contents that a study was made with, and the check against them."""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from datasets.bars import KEY_FIELDS, DatasetKey
from datasets.bars.selection import Candidate, in_order
from datasets.calendars import CALENDAR_FACTS
from datasets.errors import InvalidRequest, LockMismatch
from datasets.storage import put

LOCK_FORMAT = 1
_CONTENT = ("content_hash", "n_rows", "first_time", "last_time", "fetched_at")
# These facts, with `fetched_at`, decide which rows are loaded and when each bar has closed.
_LAST_BAR = "last_bar_final"
_CLOCK = (*CALENDAR_FACTS, "delay_s")


class HasEntries(Protocol):
    """A panel's members: many datasets that were loaded at once, with a lock entry each."""

    @property
    def entries(self) -> list[dict[str, Any]]: ...


# The latest loads of this process, in order. The entries of a panel's thousand members are
# built only when a lock file needs them.
_noted: dict[Hashable, dict[str, Any] | HasEntries] = {}
# Entries of earlier loads, only the latest of each dataset: a process that loads a panel again
# and again must not hold all of these panels.
_older: dict[Hashable, dict[str, Any]] = {}
_MAX_NOTED = 64


def note(facts: Mapping[str, Any]) -> None:
    """Note a loaded dataset, for a lock file of all that this process has loaded."""
    _note(tuple(facts["key"].values()), entry_of(facts))


def note_many(name: str, members: HasEntries) -> None:
    """Note a loaded panel; panels of the same content have the same name."""
    _note(name, members)


def _note(name: Hashable, loaded: dict[str, Any] | HasEntries) -> None:
    # Moved to the end: a lock file holds the latest content.
    _noted.pop(name, None)
    _noted[name] = loaded
    while len(_noted) > _MAX_NOTED:
        for entry in _entries_of(_noted.pop(next(iter(_noted)))):
            _older[DatasetKey.from_dict(entry)] = entry


def find_noted(name: str) -> object:
    """Return the members of a panel that was noted under this name; None for no such panel."""
    return _noted.get(name)


def noted_entries() -> Iterable[dict[str, Any]]:
    """Yield the lock entries of all that this process has loaded, the latest last."""
    yield from _older.values()
    for loaded in _noted.values():
        yield from _entries_of(loaded)


def _entries_of(loaded: dict[str, Any] | HasEntries) -> list[dict[str, Any]]:
    return [loaded] if isinstance(loaded, dict) else loaded.entries


def entry_of(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return a dataset's entry in a lock file, from the metadata of its file."""
    return _entry(facts["key"], facts, facts["instrument"]) | {_LAST_BAR: facts[_LAST_BAR]}


def _entry(
    key: Mapping[str, Any], content: Mapping[str, Any], clock: Mapping[str, Any]
) -> dict[str, Any]:
    entry = {name: key[name] for name in KEY_FIELDS} | {name: content[name] for name in _CONTENT}
    return entry | {name: clock[name] for name in _CLOCK if name in clock}


@dataclass(frozen=True, slots=True)
class Lock:
    """The content of a lock file, by dataset key."""

    path: Path
    entries: dict[DatasetKey, dict[str, Any]]

    def pin(self, key: DatasetKey) -> DatasetKey:
        """Return the locked key that answers for a key; raise `LockMismatch` for none."""
        series = [each for each in self.entries if replace(each, n_bars=key.n_bars) == key]
        # `load` may have taken the newest bars of a larger dataset.
        found = in_order(
            series,
            key.n_bars,
            lambda locked: Candidate(
                locked.n_bars,
                self.entries[locked]["n_rows"],
                datetime.fromisoformat(self.entries[locked]["fetched_at"]),
            ),
        )
        if not found:
            raise LockMismatch(
                f"{key.full_symbol} {key.timeframe} is not in {self.path.name}, which locks "
                f"{len(self.entries)} datasets. Load it without the lock, then write_lock again."
            )
        return found[0]

    def locked_facts(self, facts: dict[str, Any]) -> dict[str, Any]:
        """Return a file's metadata, with the locked facts that decide about rows and close times.

        The same bars may have been fetched again since, with another state of the last bar or
        other hours. Raises `LockMismatch` unless the dataset is in the lock, with the same content.
        """
        now = entry_of(facts)
        locked = self.entries.get(DatasetKey.from_dict(now))
        if locked is None:
            raise LockMismatch(f"{name_of(now)} is not in {self.path.name}.")
        change = difference(locked, now)
        if change:
            raise LockMismatch(f"{change} Locked in {self.path.name}.")
        return self.with_locked(facts, locked)

    @staticmethod
    def with_locked(facts: dict[str, Any], locked: Mapping[str, Any]) -> dict[str, Any]:
        """Return the facts of the locked bars: an entry's facts decide about rows and close times."""
        if _LAST_BAR not in locked:
            # A lock file of version 0.3.0.
            return facts
        clock = {name: locked[name] for name in _CLOCK if name in locked}
        decided = {name: locked[name] for name in (_LAST_BAR, "fetched_at")}
        return facts | decided | {"instrument": facts["instrument"] | clock}


def name_of(entry: Mapping[str, Any]) -> str:
    return f"{DatasetKey.from_dict(entry)} ({entry['source']})"


def difference(locked: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return the differences of two entries of one dataset in one sentence; an empty text for equal content."""
    if locked["content_hash"] == now["content_hash"]:
        return ""
    words = {
        "n_rows": "bars",
        "first_time": "first bar",
        "last_time": "last bar",
        "fetched_at": "fetched",
    }
    changes = [
        f"{word} {locked[name]} → {now[name]}"
        for name, word in words.items()
        if locked[name] != now[name]
    ]
    if all(locked[name] == now[name] for name in ("n_rows", "first_time", "last_time")):
        changes.append("the same range of bars, other values in it")
    changes.append(f"content {locked['content_hash'][:12]} → {now['content_hash'][:12]}")
    return f"{name_of(now)} has changed: {'; '.join(changes)}."


def read_lock(path: str | Path) -> Lock:
    """Read a lock file. Raises `InvalidRequest` where there is none or the file is no lock file."""
    path = Path(path)
    try:
        document = json.loads(path.read_text())
        if document["format"] != LOCK_FORMAT:
            raise ValueError(document["format"])
        entries = {DatasetKey.from_dict(entry): entry for entry in document["datasets"]}
    except FileNotFoundError:
        message = f"{path} is not there; write_lock({path.name!r}) writes it."
        raise InvalidRequest({"lock": [message]}) from None
    except OSError as error:
        raise InvalidRequest({"lock": [f"{path} cannot be read ({error.strerror})."]}) from error
    except (InvalidRequest, KeyError, TypeError, ValueError) as error:
        raise InvalidRequest({"lock": [f"{path} is no lock file."]}) from error
    return Lock(path, entries)


def write_lock(path: str | Path, *loaded: pd.DataFrame | pd.Series) -> int:
    """Write the datasets and contents that were loaded to a file; return the number of datasets.

    Parameters
    ----------
    path
        `study.lock`: JSON, to be committed with the study. An existing file is replaced.
    loaded
        Frames of `load` and `load_panel`. Without frames, all that this process has loaded.

    Raises
    ------
    InvalidRequest
        A frame has no `attrs`, one dataset was loaded with two contents, or the file cannot
        be written.
    """
    by_key: dict[DatasetKey, dict[str, Any]] = {}
    for entry in _entries(loaded) if loaded else noted_entries():
        before = by_key.get(DatasetKey.from_dict(entry), entry)
        # The frames of a study must agree; of a whole session the latest content counts.
        if loaded and before["content_hash"] != entry["content_hash"]:
            message = f"It was loaded with two contents: {difference(before, entry)} Load it once."
            raise InvalidRequest({"loaded": [message]})
        by_key[DatasetKey.from_dict(entry)] = entry
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
        # An Arrow table or an array has no `attrs`.
        attrs = getattr(frame, "attrs", {})
        if "members" in attrs:
            # Members, or a list where the frame was written to parquet and read again.
            yield from map(entry_of, attrs["members"])
        elif "content_hash" in attrs:
            base = attrs.get("made_from") or attrs["timeframe"]
            entry = _entry(attrs | {"timeframe": base}, attrs, attrs)
            yield entry | {_LAST_BAR: attrs.get(f"dataset_{_LAST_BAR}")}
        else:
            message = "A frame does not say where it comes from: its attrs are gone."
            raise InvalidRequest({"loaded": [message]})
