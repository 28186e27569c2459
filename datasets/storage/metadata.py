"""Metadata of a dataset's file: one JSON document in the parquet file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cache
from importlib.metadata import version

from datasets import bars
from datasets.bars import KEY_FIELDS, DatasetKey, FetchedBars, Instrument
from datasets.errors import InvalidRequest

# The document stands under this key of the parquet file's metadata.
METADATA_KEY = b"tradingview_dataset"
METADATA_FORMAT = 1


@dataclass(frozen=True, slots=True)
class FileFacts:
    """The facts in a file's metadata; all instants are aware UTC."""

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
    # Codes of `plausibility.DOUBTS`; the document omits an empty dict.
    doubts: dict[str, int] = field(default_factory=dict)


@cache
def tvdatafeed_version() -> str:
    """Return the version of the installed tvDatafeed."""
    # Cached: the search among all installed packages takes longer than the writing of a file.
    return version("tradingview-datafeed")


def describe(key: DatasetKey, fetched: FetchedBars) -> FileFacts:
    """Return the facts for the file that will hold the fetched bars."""
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
        tvdatafeed_version="" if key.source == bars.IMPORTED else tvdatafeed_version(),
        doubts=fetched.doubts,
    )


def to_document(facts: FileFacts) -> bytes:
    """Return the facts as the document in the file's metadata."""
    document = {one.name: getattr(facts, one.name) for one in fields(facts)}
    if not facts.doubts:
        del document["doubts"]
    document |= {
        "format": METADATA_FORMAT,
        "key": facts.key.as_dict(),
        "instrument": facts.instrument.as_dict(),
    }
    for name in ("first_time", "last_time", "fetched_at"):
        document[name] = document[name].isoformat()
    return json.dumps(document, sort_keys=True).encode()


def from_document(text: bytes) -> FileFacts:
    """Return the facts of a document; raise `TypeError`, `KeyError` or `ValueError` for any other text."""
    document = json.loads(text)
    if document.pop("format") != METADATA_FORMAT:
        raise ValueError("unknown format")
    for name in ("first_time", "last_time", "fetched_at"):
        document[name] = datetime.fromisoformat(document[name])
    values = document.pop("key")
    # A key with more fields, of a later version, is another key.
    if set(values) != set(KEY_FIELDS):
        raise ValueError("a key with other fields")
    try:
        key = DatasetKey.from_dict(values)
    except InvalidRequest as error:
        raise ValueError(f"an impossible key: {error}") from error
    instrument = Instrument.from_dict(document.pop("instrument"))
    return FileFacts(key=key, instrument=instrument, **document)
