"""The table of datasets: one row for each file."""

from __future__ import annotations

from django.db import models
from django.db.models import F
from django.db.models.functions import Coalesce, Greatest

from datasets.bars import KEY_FIELDS, DatasetKey
from datasets.models.calendar_version import CalendarVersion
from datasets.models.key_columns import KeyedModel
from datasets.models.series import Series

# When a dataset was last served or fetched.
LAST_USED = Greatest(F("fetched_at"), Coalesce(F("last_served_at"), F("fetched_at")))


class Dataset(KeyedModel):
    """One parquet file under `outputs/datasets/`, with a copy of the file's own metadata."""

    class State(models.TextChoices):
        READY = "ready"
        INVALIDATED = "invalidated"
        SUPERSEDED = "superseded"
        MISSING = "missing"
        CORRUPT = "corrupt"

    # States in which the file is at `path`.
    ON_DISK = (State.READY, State.SUPERSEDED)

    series = models.ForeignKey(
        Series,
        null=True,
        blank=True,
        editable=False,
        on_delete=models.SET_NULL,
        related_name="datasets",
        help_text="The series whose newest bars it has; empty until its bars are archived.",
    )
    state = models.CharField(
        max_length=11,
        choices=State.choices,
        default=State.READY,
        help_text="Only a ready dataset is served. A request for any other dataset fetches it again, unless it is pinned.",
    )
    path = models.CharField(
        max_length=300, unique=True, help_text="The file, relative to the datasets folder."
    )
    bytes = models.PositiveBigIntegerField("size", help_text="Size of the file in bytes.")
    # Shows a changed file without opening it: size and modification time, or the object's ETag.
    version = models.CharField(
        max_length=128, help_text="The version of the file, an opaque text of the store."
    )
    content_hash = models.CharField(
        "content hash", max_length=64, help_text="SHA-256 over the bars, not over the file."
    )
    n_rows = models.PositiveIntegerField("bars", help_text="Bars in the file.")
    first_time = models.DateTimeField(
        "first bar", help_text="Opening instant of the oldest bar, UTC."
    )
    last_time = models.DateTimeField(
        "last bar", help_text="Opening instant of the newest bar, UTC."
    )
    last_bar_final = models.BooleanField(
        "last bar is final",
        null=True,
        help_text="No: the newest bar was forming. Unknown: the feed sent no closing time.",
    )
    fetched_at = models.DateTimeField(help_text="Instant of the feed's reply, UTC.")
    instrument = models.JSONField(default=dict, help_text="TradingView's facts of the instrument.")
    calendar = models.ForeignKey(
        CalendarVersion,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="datasets",
        help_text="The feed's calendar as it came with these bars.",
    )
    is_limited = models.BooleanField(
        "limited by the feed",
        default=False,
        help_text="The feed has no older bars for this account.",
    )
    n_duplicates = models.PositiveIntegerField(
        "duplicates dropped",
        default=0,
        help_text="Bars that the feed sent more than once; the last one is kept.",
    )
    n_inconsistent = models.PositiveIntegerField(
        "inconsistent bars",
        default=0,
        help_text="Bars whose high or low does not enclose the other prices; kept as sent.",
    )
    zero_volume_share = models.FloatField(
        "share of zero volume",
        null=True,
        help_text="Share of bars with a volume of 0, from 0 to 1; empty without volume.",
    )
    largest_gap_s = models.PositiveBigIntegerField(
        null=True, help_text="Longest time between two neighbouring bars, in seconds."
    )
    doubts = models.JSONField(
        default=dict,
        blank=True,
        help_text="Odd bars that can be right, kept as sent: a code and the number of bars.",
    )
    coverage = models.JSONField(
        null=True,
        blank=True,
        help_text="Share of the expected bars that are held, and the missing bars by kind.",
    )
    is_pinned = models.BooleanField(
        "pinned", default=False, help_text="Never pruned and never replaced by a later fetch."
    )
    tvdatafeed_version = models.CharField(
        "tvDatafeed's version",
        max_length=32,
        help_text="Version of tvDatafeed that fetched the bars.",
    )
    hits = models.PositiveBigIntegerField(default=0, help_text="Number of replies from the cache.")
    last_served_at = models.DateTimeField(
        null=True, blank=True, help_text="Last reply with this dataset, UTC."
    )

    class Meta:
        ordering = ("-fetched_at", "-pk")
        constraints = [
            models.UniqueConstraint(fields=KEY_FIELDS, name="one_dataset_a_key"),
        ]
        indexes = [
            # The orders of the lists. The id comes last, so that no two rows have the same place.
            models.Index(fields=["-fetched_at", "-id"], name="dataset_fetched"),
            models.Index(fields=["-last_time", "-id"], name="dataset_last_time"),
            models.Index(fields=["source", "-fetched_at", "-id"], name="dataset_source"),
            models.Index(fields=["symbol", "exchange", "id"], name="dataset_symbol"),
            models.Index(fields=["n_rows", "id"], name="dataset_n_rows"),
            models.Index(fields=["bytes", "id"], name="dataset_bytes"),
            models.Index(fields=["hits", "id"], name="dataset_hits"),
            # A column with few values has two: its filter with the newest first, and its order.
            models.Index(fields=["exchange", "-fetched_at", "-id"], name="dataset_exchange"),
            models.Index(fields=["exchange", "id"], name="dataset_by_exchange"),
            models.Index(fields=["timeframe", "-fetched_at", "-id"], name="dataset_timeframe"),
            models.Index(fields=["timeframe", "id"], name="dataset_by_timeframe"),
            models.Index(fields=["state", "-fetched_at", "-id"], name="dataset_state"),
            models.Index(fields=["state", "id"], name="dataset_by_state"),
            models.Index(fields=["n_bars", "-fetched_at", "-id"], name="dataset_n_bars"),
            # Only the rare values, whose rows are far apart in the other indexes.
            models.Index(
                fields=["-fetched_at", "-id"],
                name="dataset_pinned",
                condition=models.Q(is_pinned=True),
            ),
            models.Index(
                fields=["session", "-fetched_at", "-id"],
                name="dataset_session",
                condition=~models.Q(session="regular"),
            ),
            models.Index(
                fields=["adjustment", "-fetched_at", "-id"],
                name="dataset_adjustment",
                condition=~models.Q(adjustment="splits"),
            ),
            # The order in which datasets are pruned.
            models.Index(LAST_USED, "id", name="dataset_last_used"),
            # Bars are also read by their content.
            models.Index(fields=["content_hash"], name="dataset_content"),
        ]
        permissions = [
            ("fetch_dataset", "Can fetch a dataset again"),
            ("invalidate_dataset", "Can invalidate a dataset"),
            ("verify_dataset", "Can verify a dataset's file"),
            ("pin_dataset", "Can pin a dataset"),
        ]

    @classmethod
    def find(cls, key: DatasetKey) -> Dataset | None:
        """Return the row of `key` in any state, or None."""
        return cls.objects.filter(**key.as_dict()).first()

    @classmethod
    def pinned(cls, key: DatasetKey) -> models.QuerySet[Dataset]:
        """Return the row of `key` if the row is pinned, also when its file is missing.

        A fetch never replaces a pinned dataset.
        """
        return cls.objects.filter(**key.as_dict(), is_pinned=True)
