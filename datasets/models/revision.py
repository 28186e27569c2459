"""The table of revisions: one row for each finding of an audit."""

from __future__ import annotations

from dataclasses import fields

from django.db import models

from datasets.models.fetch import Fetch
from datasets.models.series import Series
from datasets.storage.archives.revision_records import RevisionRecord


class Revision(models.Model):
    """A difference between two fetches of one series; bars that only have closed are none."""

    class Finding(models.TextChoices):
        """The classes of the audit."""

        VOLUME = "volume", "volume: only volumes changed"
        RATIO = "ratio", "ratio: a split or a dividend"
        OFFSET = "offset", "offset: a roll of a future"
        VANISHED = "vanished", "vanished: bars are gone"
        FEED_CHANGED = "feed_changed", "feed_changed: another feed answered"
        UNEXPLAINED = "unexplained", "unexplained: prices changed"

    class State(models.TextChoices):
        """Whether the newer values are in the archive."""

        ACCEPTED = "accepted", "accepted: the newer values are in the archive"
        OPEN = "open", "open: a second fetch or a person decides"
        KEPT_OLD = "kept_old", "kept_old: the older values stayed"

    series = models.ForeignKey(
        Series, on_delete=models.CASCADE, related_name="revisions", help_text="Whose bars differ."
    )
    number = models.PositiveIntegerField(help_text="Its number in the series' files.")
    finding = models.CharField(max_length=12, choices=Finding.choices, help_text="What changed.")
    state = models.CharField(max_length=8, choices=State.choices, help_text="Where it stands.")
    fetch = models.ForeignKey(
        Fetch,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="revisions",
        help_text="The fetch that brought the newer values.",
    )
    generation = models.PositiveIntegerField(help_text="The generation of the older values.")
    found_at = models.DateTimeField(help_text="When the newer values came, UTC.")
    n_bars = models.PositiveIntegerField("bars", help_text="Bars that differ.")
    first_time = models.DateTimeField(
        "first bar", null=True, help_text="Opening instant of the oldest of them, UTC."
    )
    last_time = models.DateTimeField(
        "last bar", null=True, help_text="Opening instant of the newest of them, UTC."
    )
    factor = models.FloatField(default=1.0, help_text="New price by old price; 1 where no ratio.")
    offset = models.FloatField(default=0.0, help_text="New price less old price, of an offset.")
    is_split = models.BooleanField(
        "split", default=False, help_text="The volumes changed by the inverse of the factor."
    )
    largest_change = models.FloatField(
        default=0.0, help_text="Largest change of a price, as a part of the price."
    )
    decided_at = models.DateTimeField(null=True, help_text="When it was decided, UTC.")
    decided_by = models.CharField(
        max_length=150, blank=True, help_text="A user, or `fetch` for a second fetch."
    )

    class Meta:
        ordering = ("-found_at", "-pk")
        constraints = [
            models.UniqueConstraint(fields=("series", "number"), name="one_revision_a_number"),
        ]
        indexes = [
            models.Index(fields=["state", "-found_at"], name="revision_state"),
            models.Index(fields=["-found_at", "-id"], name="revision_found"),
            models.Index(fields=["series", "-found_at", "-id"], name="revision_series"),
        ]

    def __str__(self) -> str:
        return f"{self.series} {self.finding} {self.found_at:%Y-%m-%d}"

    @classmethod
    def record(cls, series_id: int, record: RevisionRecord, *, fetch_id: int | None = None) -> None:
        """Add or update the row of a record from the series' files, or of the finding that it decides."""
        if record.decided_at is not None and not record.n_bars:
            # A decision about an earlier finding.
            cls.objects.filter(series_id=series_id, number=record.number).update(
                state=record.state.value,
                decided_at=record.decided_at,
                decided_by=record.decided_by,
            )
            return
        values = {field.name: getattr(record, field.name) for field in fields(record)}
        values["state"] = record.state.value
        if fetch_id is not None:
            values["fetch_id"] = fetch_id
        number = values.pop("number")
        cls.objects.update_or_create(series_id=series_id, number=number, defaults=values)
