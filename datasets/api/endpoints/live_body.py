"""The body of the reply with live bars, for the schema."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from datasets.api.bar_serializers import BarSerializer
from datasets.live.live_replies import LiveState
from datasets.live.live_status import ConnectionState


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
    poll_s = serializers.IntegerField(
        help_text="Seconds after which to ask again: 5, more with many clients, 30 while no bar can come."
    )
    delay_s = serializers.IntegerField(help_text="Delay of the feed behind the exchange, seconds.")
    opens_at = serializers.DateTimeField(
        allow_null=True, help_text="Next beginning of trade, while the market is closed."
    )
    lag_bars = serializers.IntegerField(
        allow_null=True, help_text="Closed bars that are missing; null for unknown hours."
    )
    error = LiveErrorSerializer(allow_null=True)


class LiveStatusSerializer(serializers.Serializer[Any]):
    """The live connection. Instants are null where there is none."""

    state = serializers.ChoiceField(
        choices=ConnectionState.choices,
        help_text="connecting: series are watched and there is no connection. idle: no series is watched. "
        "not_running: no process holds the connection.",
    )
    host = serializers.CharField(allow_null=True, help_text="The machine of the process.")
    held_since = serializers.DateTimeField(
        allow_null=True, help_text="When the process took the connection over, UTC."
    )
    connected_at = serializers.DateTimeField(
        allow_null=True, help_text="When the connection was opened, UTC."
    )
    n_watched = serializers.IntegerField(help_text="Series that clients watch.")
    n_followed = serializers.IntegerField(help_text="Series that the connection receives.")
    n_most = serializers.IntegerField(help_text="The most of them: TV_LIVE_SERIES.")
    heard_at = serializers.DateTimeField(
        allow_null=True, help_text="The last update of a watched series, UTC."
    )
    n_opened = serializers.IntegerField(help_text="Connections that were opened so far.")
    failed_at = serializers.DateTimeField(
        allow_null=True,
        help_text="When an attempt to connect failed, or a connection was lost, UTC.",
    )
    failure = serializers.CharField(
        allow_null=True, help_text="The code of that failure and a sentence."
    )
