"""The table of drawings: what a user has drawn over the bars of a symbol."""

from __future__ import annotations

from django.conf import settings
from django.db import models
from django.utils import timezone


class SymbolDrawings(models.Model):
    """All drawings of one user over the bars of one symbol; a symbol without drawings has no row."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        related_name="drawings",
        help_text="Their owner; nobody else can read them through pages and API.",
    )
    symbol = models.CharField(
        max_length=161, help_text="TradingView's form, EXCHANGE:SYMBOL; or an expression."
    )
    drawings = models.JSONField(
        default=list, help_text="List of drawings, the undermost first: id, kind, points and text."
    )
    version = models.PositiveBigIntegerField(default=1, help_text="Grows with each change.")
    updated_at = models.DateTimeField(default=timezone.now, help_text="UTC.")

    class Meta:
        ordering = ("user", "symbol")
        verbose_name_plural = "symbol drawings"
        constraints = [
            models.UniqueConstraint(fields=("user", "symbol"), name="one_drawings_a_symbol"),
        ]

    def __str__(self) -> str:
        return self.symbol

    @property
    def tag(self) -> str:
        """The `ETag` of this version. A row that was deleted and made again has another id, so another tag."""
        return f'"{self.pk}-{self.version}"'
