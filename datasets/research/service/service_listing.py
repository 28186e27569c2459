"""A service's list of datasets: each row checked, and the choice among them for a key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from datasets.bars import DatasetKey, selection
from datasets.errors import InvalidRequest
from datasets.storage import relative_path

_INSTANTS = ("fetched_at", "first_time", "last_time")
_NUMBERS = ("id", "count", "bytes")
_TEXTS = ("full_symbol", "state", "content_hash", "path")


@dataclass(frozen=True, slots=True)
class Offer:
    """One dataset of a service. Its path follows from its key, never from the service's text."""

    number: int
    key: DatasetKey
    n_rows: int
    fetched_at: str
    row: dict[str, Any]

    @classmethod
    def read(cls, row: Any) -> Offer:
        """Return a row of the service's catalog as an offer; raise `ValueError` for any other value."""
        if not isinstance(row, dict):
            raise ValueError("a dataset that is no object")
        _check_fields(row)
        try:
            key = DatasetKey.from_dict(row)
            path = relative_path(key)
        except InvalidRequest as error:
            raise ValueError(f"a dataset whose key is wrong ({error})") from None
        if path != row["path"]:
            raise ValueError(f"a file {row['path']!r} that is not the dataset's")
        return cls(row["id"], key, row["count"], row["fetched_at"], row)

    def is_of_series(self, key: DatasetKey) -> bool:
        """Return whether the dataset is of the key's series, with any `n_bars`."""
        return replace(self.key, n_bars=key.n_bars) == key


def best_offer(key: DatasetKey, offers: Sequence[Offer], *, is_exact: bool) -> Offer | None:
    """Return the offer that answers for the key, by the rule of `bars.selection`; None for none.

    The offers are of the key's series. With `is_exact` only the key's own dataset counts.
    """
    if is_exact:
        return next((offer for offer in offers if offer.key == key), None)
    found = selection.in_order(
        offers,
        key.n_bars,
        lambda offer: selection.Candidate(
            offer.key.n_bars, offer.n_rows, datetime.fromisoformat(offer.fetched_at)
        ),
    )
    return found[0] if found else None


def _check_fields(row: Mapping[str, Any]) -> None:
    """Raise `ValueError` for a field of the wrong type; only `fetched_at` must be an instant."""
    for name in _NUMBERS:
        value = row.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**63:
            raise ValueError(f"a dataset whose {name} is no number")
    for name in _TEXTS:
        if not isinstance(row.get(name), str):
            raise ValueError(f"a dataset whose {name} is no text")
    for name in _INSTANTS:
        value = row.get(name)
        if value is None and name != "fetched_at":
            continue
        try:
            is_aware = datetime.fromisoformat(value).tzinfo is not None  # type: ignore[arg-type]
        except (TypeError, ValueError):
            is_aware = False
        if not is_aware:
            raise ValueError(f"a dataset whose {name} is no instant")
    if not isinstance(row.get("instrument"), dict):
        raise ValueError("a dataset whose instrument is no object")
