"""What a request for bars may say, checked field by field."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from rest_framework import serializers

from datasets.bars import Adjustment, DatasetKey, Session
from datasets.tradingview.symbols import TYPES


class Parameters(serializers.Serializer[Any]):
    """A query whose parameters are all known: a typo is named, not silently passed over."""

    def to_internal_value(self, data: Any) -> Any:
        unknown = sorted(set(data) - set(self.fields))
        if unknown:
            allowed = ", ".join(self.fields)
            raise serializers.ValidationError(
                {name: [f"There is no such parameter; known are {allowed}."] for name in unknown}
            )
        return super().to_internal_value(data)


class SymbolParameters(Parameters):
    """The query of `GET /api/tv/symbols`."""

    query = serializers.CharField(max_length=100)
    exchange = serializers.CharField(max_length=32, default="", allow_blank=True)
    type = serializers.ChoiceField(["", *TYPES], default="")
    start = serializers.IntegerField(min_value=0, max_value=1000, default=0)


class OhlcParameters(Parameters):
    """The query of `GET /api/tv/ohlc`."""

    symbol = serializers.CharField(max_length=160)
    exchange = serializers.CharField(max_length=32, required=False, default="", allow_blank=True)
    timeframe = serializers.CharField(max_length=8, default="1h")
    n_bars = serializers.IntegerField(min_value=1, default=5000)
    session = serializers.ChoiceField([choice.value for choice in Session], default="regular")
    adjustment = serializers.ChoiceField([choice.value for choice in Adjustment], default="splits")
    use_cache = serializers.BooleanField(default=True)
    wait = serializers.FloatField(min_value=0, max_value=60, default=30.0)

    def validate_n_bars(self, value: int) -> int:
        if value > settings.TV_MAX_BARS:
            raise serializers.ValidationError(
                f"{value} is above {settings.TV_MAX_BARS}, the most that one fetch may ask for (TV_MAX_BARS)."
            )
        return value

    def key(self) -> DatasetKey:
        """Return the key that the parameters spell; raise `InvalidRequest`."""
        names = ("symbol", "exchange", "timeframe", "n_bars", "session", "adjustment")
        return DatasetKey.parse(
            source=settings.TV_SOURCE, **{name: self.validated_data[name] for name in names}
        )
