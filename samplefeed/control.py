"""State behind `/control/…`: counts, and the faults armed for the next callers."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Any

from samplefeed.changes import CHANGES, Change, read_change


@dataclass
class Stats:
    """Counts since the start or the last reset, shown by `/control/stats`."""

    connections_opened: int = 0
    connections_open: int = 0
    conversations: int = 0
    symbols: Counter[str] = field(default_factory=Counter)
    # Of each upgrade: `Origin` and `User-Agent`.
    visitors: list[tuple[str, str]] = field(default_factory=list)
    create_series_at: list[float] = field(default_factory=list)
    request_more_data: int = 0
    sign_ins: int = 0
    cookie_pages: int = 0
    searches: int = 0
    heartbeats_sent: int = 0
    heartbeats_answered: int = 0
    resolve_payloads: deque[Any] = field(default_factory=lambda: deque(maxlen=50))
    tokens: list[str] = field(default_factory=list)
    messages: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        """Return the counts as JSON-ready values."""
        return vars(self) | {"resolve_payloads": list(self.resolve_payloads)}


@dataclass
class ArmedFault:
    """A fault for the next `times` callers, or for all callers if `times` is None."""

    name: str
    times: int | None = 1
    args: dict[str, Any] = field(default_factory=dict)

    def change(self) -> Change | None:
        """Return the change of a symbol's history, or None for other faults. Raises `ValueError`."""
        return read_change(self.name, self.args) if self.name in CHANGES else None


class ArmedFaults:
    """Armed faults, in the order of their requests."""

    def __init__(self) -> None:
        self._armed: list[ArmedFault] = []
        self._changes: dict[str, tuple[Change, ...]] = {}

    def arm(self, fault: ArmedFault) -> None:
        """Add a fault; faults armed before it come first.

        Raises `ValueError` for a change of the history without its arguments.
        """
        change = fault.change()
        if change is not None:
            self._changes[change.symbol] = (*self.changes_of(change.symbol), change)
        if fault.times is None or fault.times > 0:
            self._armed.append(fault)

    def changes_of(self, full_symbol: str) -> tuple[Change, ...]:
        """Return the changes of the symbol's history, in the order of their requests."""
        return self._changes.get(full_symbol, ())

    def take(self, names: Container[str]) -> ArmedFault | None:
        """Return the first armed fault among `names` and count it as used once."""
        for fault in self._armed:
            if fault.name in names:
                if fault.times is not None:
                    fault.times -= 1
                    if not fault.times:
                        self._armed.remove(fault)
                return fault
        return None

    def clear(self) -> None:
        """Disarm everything."""
        self._armed.clear()
        self._changes.clear()

    def as_json(self) -> list[dict[str, Any]]:
        """Return the faults that are still armed."""
        return [dict(vars(fault)) for fault in self._armed]
