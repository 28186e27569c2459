"""Bars of a lock file, brought back from the archive as of the instant of their fetch, and proved by their hash."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from datasets.bars import KEY_FIELDS, DatasetKey
from datasets.errors import DatasetNotFound, LockMismatch, StoreError
from datasets.research.archives.archive_reader import bars_of, next_opening
from datasets.research.archives.archive_sources import Archive, ArchivePart
from datasets.research.arguments import Part
from datasets.research.lock_files import Lock, difference, entry_of
from datasets.research.reader import Bars, openings
from datasets.storage.archives.archive_files import times_of

_FETCH = "fetch"
# Decisions of persons after the fetch that are tried; a series has few of them.
_MOST_DECISIONS = 100


def rebuilt(archive: Archive, lock: Lock, key: DatasetKey, part: Part, problem: str) -> Bars:
    """Return a part of the locked bars of a dataset, from the archive.

    Parameters
    ----------
    archive
        The archive of the dataset's series.
    lock, key
        The lock file, and a key in it.
    part
        The part of the locked bars.
    problem
        Why the dataset's own file does not give them, as a sentence.

    Raises
    ------
    LockMismatch
        The archive had other bars at that instant, or none; the message names the difference.
    """
    locked = lock.entries[key]
    start = datetime.fromisoformat(locked["first_time"])
    end = datetime.fromisoformat(locked["last_time"]) + timedelta(milliseconds=1)
    changes: list[str] = []
    for instant in _instants(archive, datetime.fromisoformat(locked["fetched_at"])):
        try:
            found = archive.read(start, end, as_of=instant)
        except (DatasetNotFound, StoreError) as error:
            changes.append(str(error))
            break
        if found.facts["content_hash"] == locked["content_hash"]:
            return _locked_part(
                archive, locked, lock.with_locked(found.facts, locked), found, part, instant
            )
        changes.append(difference(locked, entry_of(found.facts)))
    raise LockMismatch(
        f"{problem} The archive cannot bring the locked bars back: as of {locked['fetched_at']} "
        f"{changes[0][:1].lower()}{changes[0][1:]}"
    )


def _instants(archive: Archive, fetched_at: datetime) -> Iterator[datetime]:
    """Yield the instants at which the archive can have had the bars of a dataset of this fetch.

    A person who decides about a revision changes the bars and makes no fetch.
    """
    yield fetched_at
    decided = [
        record.decided_at
        for record in archive.records()
        if record.decided_at is not None and record.decided_by != _FETCH
    ]
    yield from sorted({at for at in decided if at > fetched_at})[:_MOST_DECISIONS]


def _locked_part(
    archive: Archive,
    locked: Mapping[str, Any],
    facts: dict[str, Any],
    found: ArchivePart,
    part: Part,
    instant: datetime,
) -> Bars:
    key = {name: locked[name] for name in KEY_FIELDS}
    facts = facts | {"key": key, "fetched_at": locked["fetched_at"]}
    times = times_of(found.rows)
    openings.add(facts["content_hash"], times)
    next_ms = next_opening(archive, found.rows, None, found.held_through, instant)
    first, last = Part(n_bars=part.n_bars, closed=part.closed).bounds(
        times, is_forming=facts["last_bar_final"] is False
    )
    return bars_of(found.rows, facts, part, held=times[first:last], next_ms=next_ms)
