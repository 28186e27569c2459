"""The catalog: one `Dataset` for each file, one `Fetch` for each attempt to get one."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime, timedelta

from django.conf import settings
from django.db import models
from django.utils import timezone

from datasets.bars import KEY_FIELDS, Adjustment, DatasetKey, Session, Timeframe


class KeyedModel(models.Model):
    """The columns of a `DatasetKey`."""

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
    n_bars = models.PositiveIntegerField(
        "bars asked", help_text="How many bars back from the newest."
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
        help_text="Corporate actions that earlier prices are adjusted for.",
    )

    class Meta:
        abstract = True

    def __str__(self) -> str:
        return str(self.key)

    @property
    def key(self) -> DatasetKey:
        """The key that identifies the dataset."""
        return DatasetKey(
            source=self.source,
            exchange=self.exchange,
            symbol=self.symbol,
            timeframe=Timeframe(self.timeframe),
            n_bars=self.n_bars,
            session=Session(self.session),
            adjustment=Adjustment(self.adjustment),
        )


class Dataset(KeyedModel):
    """One parquet file under `outputs/datasets/`, and everything the file says of itself."""

    class State(models.TextChoices):
        READY = "ready"
        INVALIDATED = "invalidated"
        SUPERSEDED = "superseded"
        MISSING = "missing"
        CORRUPT = "corrupt"

    # Where a file lies in its place.
    ON_DISK = (State.READY, State.SUPERSEDED)

    state = models.CharField(
        max_length=11,
        choices=State.choices,
        default=State.READY,
        help_text="Only a ready dataset answers; any other is fetched again when asked for, but for a pinned one.",
    )
    path = models.CharField(
        max_length=300, unique=True, help_text="The file, relative to the datasets folder."
    )
    bytes = models.PositiveBigIntegerField("size", help_text="Size of the file in bytes.")
    # With the size it tells, without opening the file, whether it is still the one recorded.
    modified_ns = models.PositiveBigIntegerField(help_text="The file's modification time, ns.")
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
        help_text="No while the newest bar was still forming; unknown if the feed did not say.",
    )
    fetched_at = models.DateTimeField(help_text="When the feed answered, UTC.")
    instrument = models.JSONField(
        default=dict, help_text="What TradingView says of the instrument."
    )
    is_limited = models.BooleanField(
        "limited by the feed",
        default=False,
        help_text="The feed said that it holds no deeper history for this account.",
    )
    n_duplicates = models.PositiveIntegerField(
        "duplicates dropped",
        default=0,
        help_text="Bars that were sent more than once; the last one sent is kept.",
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
        help_text="What looks odd and may be right: a code and the number of bars; kept as sent.",
    )
    is_pinned = models.BooleanField(
        "pinned", default=False, help_text="Never pruned and never replaced by a later fetch."
    )
    tvdatafeed_version = models.CharField(
        "tvDatafeed's version", max_length=32, help_text="The tvDatafeed that fetched it."
    )
    hits = models.PositiveBigIntegerField(
        default=0, help_text="Times it was served from the cache."
    )
    last_served_at = models.DateTimeField(
        null=True, blank=True, help_text="When it was last served, UTC."
    )

    class Meta:
        ordering = ("-fetched_at", "-pk")
        constraints = [
            models.UniqueConstraint(fields=KEY_FIELDS, name="one_dataset_a_key"),
        ]
        indexes = [
            # The lists' orders, with the id last so that pages have definite bounds.
            models.Index(fields=["-fetched_at", "-id"], name="dataset_fetched"),
            models.Index(fields=["-last_time", "-id"], name="dataset_last_time"),
            models.Index(fields=["source", "-fetched_at", "-id"], name="dataset_source"),
            models.Index(fields=["exchange"], name="dataset_exchange"),
            models.Index(fields=["state"], name="dataset_state"),
        ]
        permissions = [
            ("fetch_dataset", "Can fetch a dataset again"),
            ("invalidate_dataset", "Can invalidate a dataset"),
            ("verify_dataset", "Can verify a dataset's file"),
            ("pin_dataset", "Can pin a dataset"),
        ]

    @classmethod
    def find(cls, key: DatasetKey) -> Dataset | None:
        """Return the key's row, whatever its state, or None."""
        return cls.objects.filter(**key.as_dict()).first()

    @classmethod
    def pinned(cls, key: DatasetKey) -> models.QuerySet[Dataset]:
        """Return the key's row if it is pinned: no fetch replaces it, also while its file is away."""
        return cls.objects.filter(**key.as_dict(), is_pinned=True)


class Fetch(KeyedModel):
    """One request to get a dataset from the feed, with all its attempts."""

    class State(models.TextChoices):
        QUEUED = "queued"
        RUNNING = "running"
        SUCCEEDED = "succeeded"
        FAILED = "failed"
        CANCELLED = "cancelled"

    ACTIVE = (State.QUEUED, State.RUNNING)

    state = models.CharField(
        max_length=9, choices=State.choices, default=State.QUEUED, help_text="Where it stands."
    )
    dataset = models.ForeignKey(
        Dataset,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="fetches",
        help_text="What it wrote.",
    )
    error_code = models.CharField(
        "error", max_length=32, blank=True, help_text="Why it failed; see docs/api.md."
    )
    error_message = models.TextField(blank=True, help_text="The same in a sentence.")
    retryable = models.BooleanField(default=False, help_text="Whether asking again can help.")
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Times it was tried.")
    n_rows = models.PositiveIntegerField("bars", default=0, help_text="Bars received so far.")
    waited_ms = models.PositiveIntegerField(
        "waited, ms", default=0, help_text="Waiting for the throttle, ms."
    )
    fetched_ms = models.PositiveIntegerField(
        "fetched, ms", default=0, help_text="Talking to the feed, ms."
    )
    stored_ms = models.PositiveIntegerField(
        "stored, ms", default=0, help_text="Checking and writing, ms."
    )
    requested_by = models.CharField(
        max_length=150, blank=True, help_text="Who asked: a user, or a client's address."
    )
    requested_via = models.CharField(max_length=16, help_text="api, page, admin or command.")
    requested_at = models.DateTimeField(default=timezone.now, db_index=True, help_text="UTC.")
    turn = models.PositiveIntegerField(
        default=0, help_text="Lower ones begin first; a client's fetches have one turn each."
    )
    failures = models.PositiveSmallIntegerField(
        default=0, help_text="Attempts that failed with an error; a worker that died is none."
    )
    next_attempt_at = models.DateTimeField(
        null=True, blank=True, help_text="After a failure that a retry can help, UTC."
    )
    allowed_at = models.DateTimeField(
        null=True, blank=True,
        help_text="When the throttle will let it begin, as far as can be told; set while it waits, UTC.",
    )  # fmt: skip
    started_at = models.DateTimeField(
        null=True, blank=True, help_text="Start of the last attempt, UTC."
    )
    finished_at = models.DateTimeField(null=True, blank=True, help_text="UTC.")
    # The running attempt owns the row until this instant and keeps moving it on.
    lease_until = models.DateTimeField(
        null=True, blank=True, help_text="The worker is taken for dead after this, UTC."
    )
    owner = models.CharField(max_length=32, blank=True, help_text="The running attempt's own id.")

    class Meta:
        ordering = ("-requested_at", "-pk")
        verbose_name_plural = "fetches"
        constraints = [
            # What makes a hundred callers wait on one conversation.
            models.UniqueConstraint(
                fields=KEY_FIELDS,
                condition=models.Q(state__in=["queued", "running"]),
                name="one_active_fetch_a_key",
            ),
        ]
        indexes = [
            # Which is next, and how many of a client wait: neither may cost more with a long queue.
            models.Index(fields=["state", "turn", "id"], name="fetch_state_turn"),
            models.Index(fields=["state", "requested_by", "turn"], name="fetch_state_client"),
        ]

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.state not in self.ACTIVE


class Worker(models.Model):
    """A worker that makes fetches, as long as it keeps saying that it lives."""

    name = models.CharField(
        max_length=255, unique=True, help_text="Celery's name of it, and its process."
    )
    host = models.CharField(max_length=255, help_text="The machine it runs on.")
    source = models.CharField(max_length=16, help_text="The feed whose fetches it takes.")
    started_at = models.DateTimeField(help_text="When it was first seen, UTC.")
    seen_at = models.DateTimeField(help_text="When it last said that it lives, UTC.")

    class Meta:
        ordering = ("source", "name")

    def __str__(self) -> str:
        return self.name


class SignIn(models.Model):
    """The one row on which all workers agree who signs in, and whether TradingView refused.

    The token itself is not here: it is in the cache, encrypted.
    """

    SINGLETON = 1

    # Tells whether the credentials have been changed since; says nothing about them.
    fingerprint = models.CharField(
        max_length=64, blank=True, help_text="Of the credentials that were used last."
    )
    locked_by = models.CharField(
        max_length=32, blank=True, help_text="The attempt that is signing in now."
    )
    locked_until = models.DateTimeField(
        null=True, help_text="That attempt is taken for dead after this, UTC."
    )
    signed_in_at = models.DateTimeField(null=True, help_text="The last success, UTC.")
    refused_code = models.CharField(
        max_length=32, blank=True, help_text="Why TradingView refused; see docs/api.md."
    )
    refused_message = models.TextField(blank=True, help_text="The same in a sentence.")
    refused_until = models.DateTimeField(null=True, help_text="Not tried again before this, UTC.")

    def __str__(self) -> str:
        return "sign-in"


def in_ninety_days() -> datetime:
    return timezone.now() + timedelta(days=90)


# So long no use of a token is written down again.
NOTED_FOR = timedelta(hours=1)


class ApiToken(models.Model):
    """What lets a program use the API in a person's name, up to a scope and until an instant.

    Only a hash of its secret is kept. SHA-256 is enough: nobody can guess 256 random bits,
    so there is no weak secret that a slow password hash would have to protect.
    """

    class Scope(models.TextChoices):
        """Each includes the ones before it."""

        READ = "read", "read: what is there already"
        FETCH = "fetch", "fetch: read, and fetch what is not there"
        MANAGE = "manage", "manage: fetch, and invalidate or refresh what others read"

    _START = "tv_"
    _SHOWN = 9

    name = models.CharField(max_length=60, help_text="What it is for: the program or the machine.")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.CASCADE,
        help_text="In whose name; it stops working when this account is turned off.",
    )
    scope = models.CharField(
        max_length=6, choices=Scope.choices, default=Scope.READ, help_text="How far it goes."
    )
    prefix = models.CharField(
        "begins with", max_length=12, editable=False, help_text="To tell tokens apart."
    )
    secret_hash = models.CharField(
        max_length=64, unique=True, editable=False, help_text="SHA-256 of the secret."
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False, help_text="UTC.")
    expires_at = models.DateTimeField(
        default=in_ninety_days, help_text="It stops working at this instant, UTC."
    )
    last_used_at = models.DateTimeField(
        null=True, editable=False, help_text="To the hour, UTC; empty when it never was."
    )

    class Meta:
        ordering = ("-created_at", "-pk")
        verbose_name = "API token"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def renew(self) -> str:
        """Give the unsaved token a secret, and return it; nothing can tell it again."""
        secret = self._START + secrets.token_urlsafe(32)
        self.prefix = secret[: self._SHOWN]
        self.secret_hash = hash_secret(secret)
        return secret

    @classmethod
    def find(cls, secret: str) -> ApiToken | None:
        """Return the token, with its user, whose secret this is, expired or not; or None."""
        return cls.objects.select_related("user").filter(secret_hash=hash_secret(secret)).first()

    @property
    def is_expired(self) -> bool:
        """Whether its time is over."""
        return self.expires_at <= timezone.now()

    @property
    def is_use_noted(self) -> bool:
        """Whether it is written down already that it is being used."""
        return self.last_used_at is not None and timezone.now() - self.last_used_at <= NOTED_FOR

    def note_use(self) -> None:
        """Write down that it is being used now."""
        type(self).objects.filter(pk=self.pk).update(last_used_at=timezone.now())


def hash_secret(secret: str) -> str:
    """Return what is kept of a token's secret."""
    return hashlib.sha256(secret.encode()).hexdigest()
