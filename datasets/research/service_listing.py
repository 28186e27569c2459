"""What a service says of its datasets, checked before anything follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from datasets.bars import DatasetKey
from datasets.errors import InvalidRequest
from datasets.storage.paths import relative_path

_INSTANTS = ("fetched_at", "first_time", "last_time")
_NUMBERS = ("id", "count", "bytes")
_TEXTS = ("full_symbol", "state", "content_hash", "path")


@dataclass(frozen=True, slots=True)
class Offer:
    """One dataset of a service. Its path is its key's own, whatever the service says."""

    number: int
    key: DatasetKey
    n_rows: int
    fetched_at: str
    row: dict[str, Any]

    @classmethod
    def read(cls, row: Any) -> Offer:
        """Return the offer that a row of the catalog is; raise `ValueError` for anything else."""
        if not isinstance(row, dict):
            raise ValueError("a dataset that is no object")
        _check_fields(row)
        try:
            key = DatasetKey.from_dict(row)
            path = relative_path(key)
        except InvalidRequest as error:
            raise ValueError(f"a dataset with a key that is none ({error})") from None
        if path != row["path"]:
            raise ValueError(f"a file {row['path']!r} that is no dataset's")
        return cls(row["id"], key, row["count"], row["fetched_at"], row)

    def is_of_series(self, key: DatasetKey) -> bool:
        """Return whether it holds bars of the key's series, however many."""
        return replace(self.key, n_bars=key.n_bars) == key


def _check_fields(row: Mapping[str, Any]) -> None:
    for name in _NUMBERS:
        value = row.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
            raise ValueError(f"a dataset whose {name} is no number")
    for name in _TEXTS:
        if not isinstance(row.get(name), str):
            raise ValueError(f"a dataset whose {name} is no text")
    for name in _INSTANTS:
        _check_instant(name, row.get(name), is_optional=name != "fetched_at")
    if not isinstance(row.get("instrument"), dict):
        raise ValueError("a dataset whose instrument is no object")


def _check_instant(name: str, value: Any, *, is_optional: bool) -> None:
    if value is None and is_optional:
        return
    try:
        is_aware = datetime.fromisoformat(value).tzinfo is not None
    except (TypeError, ValueError):
        is_aware = False
    if not is_aware:
        raise ValueError(f"a dataset whose {name} is no instant")
