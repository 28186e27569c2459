"""Bodies of the endpoints of alerts: what a client sends, and what it gets."""

from __future__ import annotations

import math
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from datasets.api.fields import Choice, Number, YesOrNo
from datasets.api.parameters import MAX_FULL_SYMBOL, StrictSerializer
from datasets.bars import Adjustment, DatasetKey, Session, Timeframe
from datasets.bars.series_keys import SeriesKey
from datasets.models import MOST_NOTE, IncidentMessage, PriceAlert


class AlertValues(StrictSerializer):
    """The values of an alert; one that is left out stays as it is, or has its default."""

    condition = Choice(
        PriceAlert.Condition.values,
        required=False,
        help_text="Where the price of a bar has to be; `crosses`: beyond the price, seen from the close before.",
    )
    price = Number(required=False, help_text="The price, a finite number.")
    bars = Choice(
        PriceAlert.Bars.values,
        required=False,
        help_text="`closed`: the close of a closed bar counts. `forming`: every price of a bar, also before its close.",
    )
    repeats = YesOrNo(
        required=False,
        help_text="`true`: every bar can trigger it, each once. `false`: the first one.",
    )
    note = serializers.CharField(
        required=False, allow_blank=True, max_length=MOST_NOTE, help_text="A text for the message."
    )

    def validate_price(self, value: float) -> float:
        if not math.isfinite(value):
            raise serializers.ValidationError("Write a finite number.")
        return value


class NewAlert(AlertValues):
    """The body of `POST /api/tv/alerts`: a series that the service holds, a condition and a price."""

    symbol = serializers.CharField(
        max_length=MAX_FULL_SYMBOL, help_text="`SYMBOL` or `EXCHANGE:SYMBOL`."
    )
    exchange = serializers.CharField(
        max_length=32, allow_blank=True, default="", help_text="Where `symbol` does not have it."
    )
    timeframe = serializers.CharField(
        max_length=8, default="1h", help_text=f"Length of a bar: {', '.join(Timeframe)}."
    )
    session = Choice(Session, default="regular", help_text="Trading hours of the series.")
    adjustment = Choice(Adjustment, default="splits", help_text="Adjustment of the series.")
    condition = Choice(
        PriceAlert.Condition.values, help_text=AlertValues().fields["condition"].help_text
    )
    price = Number(help_text="The price, a finite number.")
    bars = Choice(
        PriceAlert.Bars.values, default=PriceAlert.Bars.CLOSED.value,
        help_text=AlertValues().fields["bars"].help_text,
    )  # fmt: skip

    def key(self) -> SeriesKey:
        """Return the key of the checked body's series; raise `InvalidRequest` for a wrong one."""
        names = ("symbol", "exchange", "timeframe", "session", "adjustment")
        values = {name: self.validated_data[name] for name in names}
        return SeriesKey.of(DatasetKey.parse(**values, n_bars=1, source=settings.TV_SOURCE))

    def alert_values(self) -> dict[str, Any]:
        """Return the checked values of the alert itself."""
        names = AlertValues().fields
        return {name: value for name, value in self.validated_data.items() if name in names}


class AlertChanges(AlertValues):
    """The body of `PATCH /api/tv/alerts/{id}`."""

    state = Choice(
        [PriceAlert.State.ACTIVE.value, PriceAlert.State.PAUSED.value],
        required=False,
        help_text="`active` arms it again: only bars that close from now on count. `paused` stops it.",
    )


class AlertSerializer(serializers.ModelSerializer[PriceAlert]):
    """One alert. Instants are UTC."""

    symbol = serializers.CharField(source="series.symbol", read_only=True)
    exchange = serializers.CharField(source="series.exchange", read_only=True)
    timeframe = serializers.CharField(source="series.timeframe", read_only=True)
    session = serializers.CharField(source="series.session", read_only=True)
    adjustment = serializers.CharField(source="series.adjustment", read_only=True)
    series = serializers.IntegerField(source="series_id", read_only=True)
    condition = Choice(PriceAlert.Condition.values, read_only=True)
    bars = Choice(PriceAlert.Bars.values, read_only=True)
    is_own = serializers.SerializerMethodField(
        help_text="`false` for an alert that was made without sign-in: every caller can change it."
    )
    is_followed = serializers.SerializerMethodField(
        help_text="Whether the service gets new bars of the series by itself: live bars are on, or a watchlist has it."
    )
    webhook = serializers.SerializerMethodField(
        help_text="Delivery of the last message: `waiting`, `sent` or `given_up`; null without one."
    )

    class Meta:
        model = PriceAlert
        fields = [
            "id", "symbol", "exchange", "timeframe", "session", "adjustment", "series", "condition", "price",
            "bars", "repeats", "note", "state", "pause_reason", "created_at", "armed_at", "triggered_at",
            "triggered_bar", "triggered_price", "is_own", "is_followed", "webhook",
        ]  # fmt: skip
        read_only_fields = fields

    def get_is_own(self, alert: PriceAlert) -> bool:
        return alert.user_id is not None

    def get_is_followed(self, alert: PriceAlert) -> bool:
        schedule = getattr(alert.series, "schedule", None)
        return settings.TV_LIVE or (schedule is not None and not schedule.is_paused)

    @extend_schema_field(
        serializers.ChoiceField(choices=IncidentMessage.State.choices, allow_null=True)
    )
    def get_webhook(self, alert: PriceAlert) -> str | None:
        found = max(alert.messages.all(), key=lambda message: message.pk, default=None)
        return None if found is None else found.state
