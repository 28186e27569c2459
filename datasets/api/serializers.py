"""What the API says of the catalog's rows."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from datasets.api.parameters import MAX_FULL_SYMBOL, MAX_SYMBOLS, SeriesParameters
from datasets.bars import KEY_FIELDS
from datasets.models import Dataset, Fetch

_ERROR = {
    "type": "object",
    "nullable": True,
    "properties": {
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "retryable": {"type": "boolean"},
    },
}


class DatasetSerializer(serializers.ModelSerializer[Dataset]):
    """One dataset: its key, what is in its file, and how it has been used."""

    full_symbol = serializers.CharField(source="key.full_symbol", read_only=True)
    count = serializers.IntegerField(source="n_rows", read_only=True)

    class Meta:
        model = Dataset
        fields = [
            "id", "full_symbol", *KEY_FIELDS, "state", "count", "first_time", "last_time", "last_bar_final",
            "fetched_at", "content_hash", "bytes", "path", "instrument", "is_limited", "is_pinned",
            "n_duplicates", "n_inconsistent", "zero_volume_share", "largest_gap_s", "tvdatafeed_version",
            "hits", "last_served_at",
        ]  # fmt: skip
        read_only_fields = fields


class FetchSerializer(serializers.ModelSerializer[Fetch]):
    """One fetch: its key, how it is getting on, and what came of it."""

    full_symbol = serializers.CharField(source="key.full_symbol", read_only=True)
    count = serializers.IntegerField(
        source="n_rows", read_only=True, help_text="Bars received so far."
    )
    dataset = serializers.IntegerField(source="dataset_id", read_only=True, allow_null=True)
    error = serializers.SerializerMethodField()
    ahead = serializers.SerializerMethodField(help_text="Fetches queued before this one.")

    class Meta:
        model = Fetch
        fields = [
            "id", "full_symbol", *KEY_FIELDS, "state", "count", "ahead", "dataset", "error", "attempts",
            "waited_ms", "fetched_ms", "stored_ms", "requested_at", "started_at", "finished_at",
            "next_attempt_at", "allowed_at", "requested_via",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(_ERROR)
    def get_error(self, fetch: Fetch) -> dict[str, Any] | None:
        if not fetch.error_code:
            return None
        return {
            "code": fetch.error_code,
            "detail": fetch.error_message,
            "retryable": fetch.retryable,
        }

    def get_ahead(self, fetch: Fetch) -> int:
        if fetch.state != Fetch.State.QUEUED or self.context.get("is_list"):
            return 0
        return Fetch.objects.filter(state=Fetch.State.QUEUED, pk__lt=fetch.pk).count()


class NewFetches(SeriesParameters):
    """The body of `POST /api/tv/fetches`: one symbol, or up to 1,000 of them."""

    symbol = serializers.CharField(max_length=MAX_FULL_SYMBOL, default="", allow_blank=True)
    exchange = serializers.CharField(max_length=32, default="", allow_blank=True)
    symbols = serializers.ListField(
        child=serializers.CharField(max_length=MAX_FULL_SYMBOL),
        max_length=MAX_SYMBOLS,
        default=list,
        help_text="`EXCHANGE:SYMBOL` each.",
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if bool(attrs["symbol"]) == bool(attrs["symbols"]):
            raise serializers.ValidationError(
                {"symbol": ["Name one symbol, or a list of symbols."]}
            )
        return attrs


class NewFetchesReply(serializers.Serializer[Any]):
    """The reply for a list of symbols, in the order asked; for one symbol it is that fetch itself."""

    fetches = FetchSerializer(many=True)


class SymbolSerializer(serializers.Serializer[Any]):
    """One match of a symbol search."""

    full_symbol = serializers.CharField()
    symbol = serializers.CharField()
    exchange = serializers.CharField()
    description = serializers.CharField()
    type = serializers.CharField()
    currency = serializers.CharField()


class SymbolPageSerializer(serializers.Serializer[Any]):
    """One page of matches."""

    query = serializers.CharField()
    symbols = SymbolSerializer(many=True)
    next_start = serializers.IntegerField(allow_null=True)
    has_more = serializers.BooleanField()


class StatusSerializer(serializers.Serializer[Any]):
    """What the service is doing."""

    source = serializers.CharField(  # type: ignore[assignment]
        help_text="tradingview, or sample for synthetic bars."
    )
    version = serializers.CharField()
    enabled = serializers.BooleanField()
    sign_in = serializers.DictField(child=serializers.CharField(allow_null=True))
    tokens_left = serializers.IntegerField(
        allow_null=True, help_text="Calls that may begin now; null without a limit."
    )
    cool_down_s = serializers.FloatField(
        allow_null=True,
        help_text="Seconds until calls are allowed again after a refusal; null while that is not known.",
    )
    cool_down_reason = serializers.CharField(
        allow_null=True,
        help_text="The refusal that began the cool-down; null when calls are allowed.",
    )
    queued = serializers.IntegerField()
    running = serializers.IntegerField()
    datasets = serializers.IntegerField()
    datasets_bytes = serializers.IntegerField()
    free_bytes = serializers.IntegerField()
    problems = serializers.ListField(
        child=serializers.CharField(), help_text="A sentence for each server of ours that is away."
    )
