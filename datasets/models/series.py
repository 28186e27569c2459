"""The table of series: one row for each archive."""

from __future__ import annotations

from django.db import models

from datasets.bars.series_keys import SERIES_FIELDS, SeriesKey
from datasets.models.key_columns import SeriesColumns


class Series(SeriesColumns):
    """One instrument at one timeframe, with a copy of the facts in its archive's `series.json`."""

    sequence = models.PositiveBigIntegerField(help_text="Number of writes of the archive.")
    n_rows = models.PositiveBigIntegerField("bars", help_text="Bars in the archive.")
    bytes = models.PositiveBigIntegerField(
        "size", help_text="Size of the archive's files in bytes, without earlier generations."
    )
    first_time = models.DateTimeField(
        "first bar", help_text="Opening instant of the oldest bar, UTC."
    )
    last_time = models.DateTimeField(
        "last bar", help_text="Opening instant of the newest bar, UTC."
    )
    last_bar_final = models.BooleanField(
        "last bar is final", help_text="No while the newest bar was still forming, or unknown."
    )
    fetched_at = models.DateTimeField(help_text="When the feed answered last, UTC.")
    generation = models.PositiveIntegerField(
        default=1, help_text="Number of the present basis of prices; the first is 1."
    )
    n_holes = models.PositiveIntegerField(
        "holes", default=0, help_text="Times between two windows that no fetch has covered."
    )
    is_awaiting = models.BooleanField(
        "waits for a second fetch",
        default=False,
        help_text="Older bars join again once a second fetch confirms the new basis of prices.",
    )
    instrument = models.JSONField(
        default=dict, help_text="What TradingView says of the instrument."
    )

    class Meta:
        ordering = ("source", "exchange", "symbol", "timeframe", "pk")
        verbose_name_plural = "series"
        constraints = [
            models.UniqueConstraint(fields=SERIES_FIELDS, name="one_series_a_key"),
        ]
        indexes = [
            models.Index(fields=["-fetched_at", "-id"], name="series_fetched"),
            models.Index(fields=["symbol", "exchange", "id"], name="series_symbol"),
            models.Index(fields=["exchange", "-fetched_at", "-id"], name="series_exchange"),
            models.Index(fields=["n_rows", "id"], name="series_n_rows"),
            models.Index(fields=["exchange", "id"], name="series_by_exchange"),
            models.Index(fields=["timeframe", "id"], name="series_by_timeframe"),
            models.Index(fields=["last_time", "id"], name="series_last_time"),
            models.Index(fields=["bytes", "id"], name="series_bytes"),
        ]

    def __str__(self) -> str:
        return str(self.series_key)

    @classmethod
    def find(cls, key: SeriesKey) -> Series | None:
        """Return the row of `key`, or None."""
        return cls.objects.filter(**key.as_dict()).first()
