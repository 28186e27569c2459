"""Records of revisions: the audit's findings, kept in the metadata of the files in `_revisions/`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from datasets.storage.archives.archive_files import facts_in
from datasets.storage.archives.series_folder import SeriesFolder

_INSTANTS = ("found_at", "first_time", "last_time", "decided_at")


class RevisionState(StrEnum):
    """Whether a revision's newer values are in the archive, wait for a decision, or were refused."""

    ACCEPTED = "accepted"
    OPEN = "open"
    KEPT_OLD = "kept_old"


@dataclass(frozen=True, slots=True)
class RevisionRecord:
    """One finding of an audit, or with the same number the later decision about it.

    `n_bars`, `first_time` and `last_time` tell which bars it is about. `factor` and `offset` are
    the step of the basis; `largest_change` is a part of a price.
    """

    number: int
    finding: str
    state: RevisionState
    generation: int
    found_at: datetime
    n_bars: int
    first_time: datetime | None = None
    last_time: datetime | None = None
    factor: float = 1.0
    offset: float = 0.0
    is_split: bool = False
    largest_change: float = 0.0
    decided_at: datetime | None = None
    decided_by: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the fields as plain values, ready for JSON."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in _INSTANTS:
            values[name] = None if values[name] is None else values[name].isoformat()
        return {**values, "state": self.state.value}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> RevisionRecord:
        """Return the record of these plain values."""
        found = {field.name: values[field.name] for field in fields(cls)}
        for name in _INSTANTS:
            if found[name] is not None:
                found[name] = datetime.fromisoformat(found[name])
        return cls(**{**found, "state": RevisionState(found["state"])})


def read_records(folder: SeriesFolder) -> list[RevisionRecord]:
    """Return the newest record of each revision of the series, by number; errors as for reading."""
    with folder.opened(lambda found: found.revision_files) as snapshot:
        found = [
            record for file in snapshot.files for record in records_in(facts_in(file, "records"))
        ]
    return newest_records(found)


def records_in(facts: Mapping[str, Any]) -> list[RevisionRecord]:
    """Return the records in the facts of one file, in the order of their writing."""
    return [RevisionRecord.from_dict(values) for values in facts["records"]]


def newest_records(records: Iterable[RevisionRecord]) -> list[RevisionRecord]:
    """Return one record for each number, by number: the finding, with the last decision about it."""
    newest: dict[int, RevisionRecord] = {}
    for record in records:
        found = newest.get(record.number)
        if found is not None and record.decided_at is not None:
            record = replace(
                found,
                state=record.state,
                decided_at=record.decided_at,
                decided_by=record.decided_by,
            )
        newest[record.number] = record
    return [newest[number] for number in sorted(newest)]
