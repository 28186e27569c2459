"""Series keys: the values that identify a series, which is a dataset's key without its number of bars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any, Self

from datasets.bars.keys import Adjustment, DatasetKey, Session
from datasets.bars.timeframes import Timeframe


@dataclass(frozen=True, slots=True)
class SeriesKey:
    """The values that identify a series: one instrument at one timeframe."""

    source: str
    exchange: str
    symbol: str
    timeframe: Timeframe
    session: Session = Session.REGULAR
    adjustment: Adjustment = Adjustment.SPLITS

    @classmethod
    def of(cls, key: DatasetKey) -> Self:
        """Return the key of the series that the dataset belongs to."""
        return cls(**{name: getattr(key, name) for name in SERIES_FIELDS})

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Return the key with these plain values; checks and errors as for `DatasetKey.from_dict`."""
        return cls.of(DatasetKey.from_dict({**values, "n_bars": 1}))

    def dataset(self, n_bars: int) -> DatasetKey:
        """Return the key of the dataset with the newest `n_bars` bars of the series."""
        values = {name: getattr(self, name) for name in SERIES_FIELDS}
        return DatasetKey(**values, n_bars=n_bars)

    @property
    def full_symbol(self) -> str:
        """TradingView's form, `EXCHANGE:SYMBOL`; for an expression only the symbol."""
        return f"{self.exchange}:{self.symbol}" if self.exchange else self.symbol

    def as_dict(self) -> dict[str, str]:
        """Return the fields as plain values, ready for JSON."""
        values = {name: getattr(self, name) for name in SERIES_FIELDS}
        return {
            name: value.value if isinstance(value, StrEnum) else value
            for name, value in values.items()
        }

    def __str__(self) -> str:
        return f"{self.full_symbol} {self.timeframe.label}"


SERIES_FIELDS = tuple(field.name for field in fields(SeriesKey))
