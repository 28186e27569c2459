"""The document `series.json`: the one consistent state of a series' archive, written last."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, TypeVar

from datasets.bars import Instrument
from datasets.bars.series_keys import SeriesKey
from datasets.errors import FileMissing
from datasets.storage.metadata import tvdatafeed_version

DOCUMENT_NAME = "series.json"
DOCUMENT_FORMAT = 1

Entry = TypeVar("Entry")


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of the archive; `content_hash` stands in the file's metadata too.

    The times are the openings of the first and of the last bar; None for a file without bars.
    """

    name: str
    content_hash: str
    n_rows: int
    bytes: int
    first_time: datetime | None
    last_time: datetime | None


@dataclass(frozen=True, slots=True)
class Basis:
    """The step from one basis of prices to the next: `new = factor * old + offset`.

    Volumes are multiplied by `volume_factor`, which is 1 where a change of prices leaves them.
    """

    factor: float = 1.0
    offset: float = 0.0
    volume_factor: float = 1.0

    def then(self, later: Basis) -> Basis:
        """Return this step followed by `later`."""
        return Basis(
            self.factor * later.factor,
            self.offset * later.factor + later.offset,
            self.volume_factor * later.volume_factor,
        )


@dataclass(frozen=True, slots=True)
class Generation:
    """A period in which all bars of the archive have one basis of prices.

    `finding` is the class of the audit that began it, empty for the first; `revision` is that
    audit's number. `basis` is the step from the generation before.
    """

    number: int
    began_at: datetime
    finding: str = ""
    revision: int = 0
    basis: Basis = Basis()


@dataclass(frozen=True, slots=True)
class OlderBars:
    """The bars of an earlier generation that open before `before`, and their step to the present basis."""

    generation: int
    before: datetime
    basis: Basis


@dataclass(frozen=True, slots=True)
class Hole:
    """A time without any fetch: bars between the openings `after` and `before` were never received."""

    after: datetime
    before: datetime
    reason: str = "window_slid"


@dataclass(frozen=True, slots=True)
class Dispute:
    """Bars of a revision: the archive has the older values, `_revisions` has both."""

    revision: int
    times: tuple[datetime, ...]


@dataclass(frozen=True, slots=True)
class SeriesDocument:
    """The state of a series' archive.

    `sequence` counts the writes. `forming` are the openings of the bars that were not final when
    they were last received. `awaiting` are older bars that wait until a second fetch confirms
    their step to the present basis; `rescaled` are those that have been added since. `disputes`
    are the bars of open revisions; of `refused` a person has kept the older values.
    """

    key: SeriesKey
    fetched_at: datetime
    instrument: Instrument
    sequence: int = 1
    generations: tuple[Generation, ...] = ()
    files: tuple[FileEntry, ...] = ()
    revision_files: tuple[FileEntry, ...] = ()
    n_revisions: int = 0
    forming: tuple[datetime, ...] = ()
    holes: tuple[Hole, ...] = ()
    awaiting: tuple[OlderBars, ...] = ()
    changed_through: datetime | None = None
    rescaled: tuple[OlderBars, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    refused: tuple[Dispute, ...] = ()
    others: Mapping[str, Any] = field(default_factory=dict)

    @property
    def generation(self) -> Generation:
        """The present generation."""
        return self.generations[-1]

    @property
    def names_by_hash(self) -> dict[str, str]:
        """The name of each file, by the hash of its content."""
        entries = (*self.files, *self.revision_files)
        return {entry.content_hash: entry.name for entry in entries}

    @property
    def n_rows(self) -> int:
        """Number of bars in the archive."""
        return sum(entry.n_rows for entry in self.files)

    @property
    def first_time(self) -> datetime | None:
        """Opening of the oldest bar; None without bars."""
        return self.files[0].first_time if self.files else None

    @property
    def last_time(self) -> datetime | None:
        """Opening of the newest bar; None without bars."""
        return self.files[-1].last_time if self.files else None

    @property
    def is_last_final(self) -> bool:
        """Whether the newest bar was final when it was received."""
        return self.last_time not in self.forming

    def older_bars(self, before: datetime, step: Basis) -> tuple[OlderBars, ...]:
        """Return all bars that open before `before`, with their steps to the basis after `step`, oldest first.

        They are the present bars, and those of earlier generations that wait already.
        """
        older = [
            OlderBars(piece.generation, min(piece.before, before), piece.basis.then(step))
            for piece in self.awaiting
        ]
        if self.first_time is not None and self.first_time < before:
            older.append(OlderBars(self.generation.number, before, step))
        return tuple(older)

    def generation_at(self, as_of: datetime) -> Generation:
        """Return the generation of this instant; raise `FileMissing` for one before the archive's first fetch."""
        for generation in reversed(self.generations):
            if generation.began_at <= as_of:
                return generation
        began_at = self.generations[0].began_at
        error = FileMissing(
            f"Nothing of {self.key} was archived at {as_of.isoformat()}; its archive begins at "
            f"{began_at.isoformat()}. Ask for a later instant."
        )
        # No fetch brings back the past.
        error.retryable = False
        raise error

    @property
    def file_facts(self) -> dict[str, Any]:
        """The facts for the metadata of each file of bars."""
        return {
            "key": self.key.as_dict(),
            "generation": self.generation.number,
            "fetched_at": self.fetched_at.isoformat(),
            "last_bar_final": self.forming == (),
            "instrument": self.instrument.as_dict(),
            "rescaled": [
                {"before": piece.before.isoformat(), **asdict(piece.basis)}
                for piece in self.rescaled
            ],
            "tvdatafeed_version": tvdatafeed_version(),
        }


def to_json(document: SeriesDocument) -> bytes:
    """Return the document as JSON; times are ISO 8601 in UTC."""
    values = asdict(document)
    others = values.pop("others")
    values |= {"format": DOCUMENT_FORMAT, "generation": document.generation.number}
    values |= {name: getattr(document, name) for name in ("n_rows", "first_time", "last_time")}
    instrument = document.instrument
    values["calendar"] = {"session": instrument.session_hours, "timezone": instrument.timezone}
    return json.dumps({**others, **values}, default=datetime.isoformat, indent=1).encode()


def from_json(text: bytes) -> SeriesDocument:
    """Return the document of a JSON text; raise `TypeError`, `KeyError` or `ValueError` for any other."""
    values = json.loads(text)
    if values.pop("format") != DOCUMENT_FORMAT:
        raise ValueError("unknown format")
    # They repeat facts for readers of the file.
    for name in ("generation", "n_rows", "first_time", "last_time", "calendar"):
        del values[name]
    through = values.pop("changed_through")
    return SeriesDocument(
        key=SeriesKey.from_dict(values.pop("key")),
        fetched_at=datetime.fromisoformat(values.pop("fetched_at")),
        instrument=Instrument.from_dict(values.pop("instrument")),
        sequence=values.pop("sequence"),
        generations=_entries(Generation, values.pop("generations")),
        files=_entries(FileEntry, values.pop("files")),
        revision_files=_entries(FileEntry, values.pop("revision_files")),
        n_revisions=values.pop("n_revisions"),
        forming=tuple(datetime.fromisoformat(text) for text in values.pop("forming")),
        holes=_entries(Hole, values.pop("holes")),
        awaiting=_entries(OlderBars, values.pop("awaiting")),
        changed_through=None if through is None else datetime.fromisoformat(through),
        rescaled=_entries(OlderBars, values.pop("rescaled")),
        disputes=_disputes(values.pop("disputes")),
        refused=_disputes(values.pop("refused", ())),
        others=values,
    )


def _disputes(found: Iterable[Mapping[str, Any]]) -> tuple[Dispute, ...]:
    return tuple(
        Dispute(each["revision"], tuple(map(datetime.fromisoformat, each["times"])))
        for each in found
    )


_INSTANTS = ("first_time", "last_time", "began_at", "before", "after")


def _entries(kind: type[Entry], found: Iterable[Mapping[str, Any]]) -> tuple[Entry, ...]:
    entries = []
    for each in found:
        values: dict[str, Any] = dict(each)
        for name in _INSTANTS:
            if isinstance(values.get(name), str):
                values[name] = datetime.fromisoformat(values[name])
        if "basis" in values:
            values["basis"] = Basis(**values["basis"])
        entries.append(kind(**values))
    return tuple(entries)
