"""The tables of watchlists and of their symbols."""

from __future__ import annotations

from django.db import models
from django.utils import timezone

from datasets.bars import Adjustment, Session, Timeframe, join_symbol

DEFAULT_SETTLE_S = 5
DEFAULT_FIRST_BARS = 5000


class Watchlist(models.Model):
    """Symbols that the service keeps up to date by itself, at some timeframes."""

    name = models.CharField(
        max_length=100, unique=True, help_text="Its name in lists and commands."
    )
    owner = models.CharField(
        max_length=150, blank=True, help_text="The user who made it; empty for the operator's commands."
    )  # fmt: skip
    timeframes = models.JSONField(
        default=list, help_text="Lengths of bars, each in its canonical spelling."
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
    first_bars = models.PositiveIntegerField(
        "bars of the first fetch",
        default=DEFAULT_FIRST_BARS,
        help_text="Bars back from the newest that the first fetch of a series requests.",
    )
    settle_s = models.PositiveSmallIntegerField(
        "wait after a bar's close, s",
        default=DEFAULT_SETTLE_S,
        help_text="Seconds between a bar's close, with the feed's delay, and its fetch.",
    )
    is_paused = models.BooleanField(
        "paused", default=False, help_text="A paused list causes no fetch."
    )
    created_at = models.DateTimeField(default=timezone.now, help_text="UTC.")

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name

    @property
    def timeframe_labels(self) -> list[str]:
        """The timeframes as pages and commands show them: `5m`, `1h`, `1D`."""
        return [Timeframe(each).label for each in self.timeframes]


class WatchedSymbol(models.Model):
    """One instrument of a watchlist."""

    watchlist = models.ForeignKey(
        Watchlist, on_delete=models.CASCADE, related_name="symbols", help_text="Its list."
    )
    exchange = models.CharField(
        max_length=32, blank=True, help_text="TradingView's prefix; empty for an expression."
    )
    symbol = models.CharField(max_length=128, help_text="Instrument code at that exchange.")
    section = models.CharField(
        max_length=100, blank=True, help_text="The heading that it stands under; empty without one."
    )
    position = models.PositiveIntegerField(default=0, help_text="Its place in the list.")
    problem = models.TextField(
        blank=True, help_text="Why it may bring no bars, in a sentence; empty without a doubt."
    )

    class Meta:
        ordering = ("watchlist", "position", "pk")
        constraints = [
            models.UniqueConstraint(
                fields=("watchlist", "exchange", "symbol"), name="one_symbol_a_watchlist"
            ),
        ]
        indexes = [
            # For the lists of one series.
            models.Index(fields=["exchange", "symbol"], name="watched_symbol"),
        ]

    def __str__(self) -> str:
        return self.full_symbol

    @property
    def full_symbol(self) -> str:
        """TradingView's form, `EXCHANGE:SYMBOL`; for an expression only the symbol."""
        return join_symbol(self.exchange, self.symbol)
