"""The body of the reply with live bars, for the schema."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from datasets.api.bar_serializers import BarSerializer
from datasets.live.live_replies import LiveState


class LiveErrorSerializer(serializers.Serializer[Any]):
    """Why no live bars come."""

    code = serializers.CharField(help_text="A code of docs/api.md, or `live_not_running`.")
    message = serializers.CharField()


class LiveSerializer(serializers.Serializer[Any]):
    """The newest bars of a series, and the state of its live updates; keys may be added in later versions."""

    symbol = serializers.CharField()
    exchange = serializers.CharField()
    timeframe = serializers.CharField()
    count = serializers.IntegerField()
    ohlc = BarSerializer(many=True, help_text="Oldest first; the last one may be forming.")
    series = serializers.IntegerField()
    source = serializers.CharField(help_text="tradingview, or sample for synthetic bars.")  # type: ignore[assignment]
    forming = serializers.BooleanField(help_text="Whether the last bar has not closed.")
    closes_at = serializers.DateTimeField(
        allow_null=True, help_text="When the forming bar ends, UTC; null where it is not known."
    )
    unconfirmed_from = serializers.DateTimeField(
        allow_null=True,
        help_text="The first bar that only live updates have brought; its values can still change. null without one.",
    )
    heard_at = serializers.DateTimeField(
        allow_null=True, help_text="When the live bars changed last, UTC."
    )
    alerts_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When any price alert of the service triggered last, UTC: a change is an occasion to read `/api/tv/alerts`.",
    )
    trading_dates = serializers.ListField(
        child=serializers.DateField(), help_text="The trading date of each bar."
    )
    state = serializers.ChoiceField(choices=LiveState.choices)
    summary = serializers.CharField(help_text="The state in a few words: `delayed 15 min`.")
    delay_s = serializers.IntegerField(help_text="Delay of the feed behind the exchange, seconds.")
    opens_at = serializers.DateTimeField(
        allow_null=True, help_text="Next beginning of trade, while the market is closed."
    )
    lag_bars = serializers.IntegerField(
        allow_null=True, help_text="Closed bars that are missing; null for unknown hours."
    )
    error = LiveErrorSerializer(allow_null=True)
