"""The columns of a `SeriesKey`, and of a `DatasetKey`, which datasets and fetches share."""

from __future__ import annotations

from django.db import models

from datasets.bars import KEY_FIELDS, Adjustment, DatasetKey, Session, Timeframe, join_symbol
from datasets.bars.series_keys import SERIES_FIELDS, SeriesKey


class SeriesColumns(models.Model):
    """The columns of a `SeriesKey`."""

    source = models.CharField(
        max_length=16, help_text="Feed: tradingview, or sample for synthetic bars."
    )
    exchange = models.CharField(
        max_length=32, blank=True, help_text="TradingView's prefix; empty for an expression."
    )
    symbol = models.CharField(max_length=128, help_text="Instrument code at that exchange.")
    timeframe = models.CharField(
        max_length=3, choices=[(t.value, t.label) for t in Timeframe], help_text="Length of a bar."
    )
    session = models.CharField(
        max_length=8,
        choices=[(s.value, s.value) for s in Session],
        default=Session.REGULAR.value,
        help_text="Trading hours covered.",
    )
    adjustment = models.CharField(
        max_length=9,
        choices=[(a.value, a.value) for a in Adjustment],
        default=Adjustment.SPLITS.value,
        help_text="Corporate actions for which earlier prices are adjusted.",
    )

    class Meta:
        abstract = True

    @property
    def series_key(self) -> SeriesKey:
        """The key that identifies the series."""
        return SeriesKey.from_dict({name: getattr(self, name) for name in SERIES_FIELDS})

    @property
    def full_symbol(self) -> str:
        """TradingView's form, `EXCHANGE:SYMBOL`; for an expression only the symbol."""
        return join_symbol(self.exchange, self.symbol)


class KeyedModel(SeriesColumns):
    """The columns of a `DatasetKey`."""

    n_bars = models.PositiveIntegerField(
        "bars requested", help_text="Number of bars back from the newest bar."
    )

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.key)

    @property
    def key(self) -> DatasetKey:
        """The key that identifies the dataset."""
        return DatasetKey.from_dict({name: getattr(self, name) for name in KEY_FIELDS})
