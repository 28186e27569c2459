"""Serializers of the catalog's rows and of the service's state."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from datasets.api.fields import RowSerializer, YesOrNo
from datasets.api.parameters import MAX_FULL_SYMBOL, MAX_SYMBOLS, SeriesParameters
from datasets.bars import KEY_FIELDS, DatasetKey
from datasets.errors import InvalidRequest
from datasets.fetching import fetch_queue, workers
from datasets.incidents import is_worker_seen
from datasets.models import Dataset, Fetch
from datasets.serving.fetch_requests import Outcome

_ERROR = {
    "type": "object",
    "nullable": True,
    "properties": {
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "retryable": {"type": "boolean"},
    },
}

_PRIORITIES = {priority.value: str(priority.label) for priority in Fetch.Priority}


class DatasetSerializer(RowSerializer[Dataset]):
    """One dataset: its key, the facts of its file, and its use."""

    full_symbol = serializers.CharField(read_only=True)
    count = serializers.IntegerField(source="n_rows", read_only=True)

    class Meta:
        model = Dataset
        fields = [
            "id", "full_symbol", *KEY_FIELDS, "state", "count", "first_time", "last_time", "last_bar_final",
            "fetched_at", "content_hash", "bytes", "path", "instrument", "is_limited", "is_pinned",
            "n_duplicates", "n_inconsistent", "zero_volume_share", "largest_gap_s", "doubts", "coverage", "tvdatafeed_version",
            "hits", "last_served_at",
        ]  # fmt: skip
        read_only_fields = fields


class FetchSerializer(RowSerializer[Fetch]):
    """One fetch: its key, its progress, and its result."""

    full_symbol = serializers.CharField(read_only=True)
    count = serializers.IntegerField(
        source="n_rows", read_only=True, help_text="Bars received so far."
    )
    dataset = serializers.IntegerField(source="dataset_id", read_only=True, allow_null=True)
    error = serializers.SerializerMethodField()
    ahead = serializers.SerializerMethodField(help_text="Fetches queued before this one.")
    priority = serializers.SerializerMethodField(
        help_text="`person`, `API`, `schedule` or `backfill`: the better one begins first."
    )
    priority_reason = serializers.SerializerMethodField(help_text="Why it has this priority.")
    notice = serializers.SerializerMethodField(
        help_text="A sentence while it is queued and no worker has been seen for 30 s; else empty."
    )

    class Meta:
        model = Fetch
        fields = [
            "id", "full_symbol", *KEY_FIELDS, "state", "count", "ahead", "notice", "dataset", "error", "attempts",
            "waited_ms", "fetched_ms", "stored_ms", "requested_at", "started_at", "finished_at",
            "next_attempt_at", "allowed_at", "requested_via", "priority", "priority_reason",
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
        return fetch_queue.n_ahead(fetch)

    def get_priority(self, fetch: Fetch) -> str:
        return _PRIORITIES[fetch.priority]

    def get_priority_reason(self, fetch: Fetch) -> str:
        return fetch_queue.priority_reason(fetch)

    def get_notice(self, fetch: Fetch) -> str:
        if fetch.state != Fetch.State.QUEUED or self.context.get("is_list"):
            return ""
        return "" if is_worker_seen(fetch.source) else workers.NONE_SEEN


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
    use_cache = YesOrNo(
        default=True, help_text="`false` fetches again also what is cached and fresh."
    )

    def validate_n_bars(self, value: int) -> int:
        if value > settings.TV_MAX_BARS:
            raise serializers.ValidationError(
                f"{value} is above {settings.TV_MAX_BARS}, the most that one fetch may ask for (TV_MAX_BARS)."
            )
        return value

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if bool(attrs["symbol"]) == bool(attrs["symbols"]):
            raise serializers.ValidationError(
                {"symbol": ["Name one symbol, or a list of symbols."]}
            )
        return attrs


def read_new_fetches(values: dict[str, Any]) -> list[DatasetKey]:
    """Return the keys of a checked `NewFetches`, each once.

    Raises `InvalidRequest` that names each wrong symbol.
    """
    series = {name: values[name] for name in ("timeframe", "n_bars", "session", "adjustment")}
    keys, wrong = [], []
    for symbol in [values["symbol"]] if values["symbol"] else values["symbols"]:
        try:
            keys.append(
                DatasetKey.parse(
                    source=settings.TV_SOURCE, symbol=symbol, exchange=values["exchange"], **series
                )
            )
        except InvalidRequest as error:
            wrong.append(f"{symbol}: {error}")
    if wrong:
        raise InvalidRequest({"symbol" if values["symbol"] else "symbols": wrong})
    return list(dict.fromkeys(keys))


class CachedSerializer(serializers.Serializer[Any]):
    """A symbol that is not fetched, because a fresh dataset answers it."""

    full_symbol = serializers.CharField()
    dataset = serializers.IntegerField(help_text="The dataset that answers it.")


class RefusedSerializer(serializers.Serializer[Any]):
    """A symbol that is not fetched, and why."""

    full_symbol = serializers.CharField()
    code = serializers.CharField(help_text="As in an error reply.")
    detail = serializers.CharField()
    retryable = serializers.BooleanField()
    retry_after_s = serializers.FloatField(
        allow_null=True, help_text="Seconds before which asking again cannot help; null where that is not known."
    )  # fmt: skip


class NewFetchesReply(serializers.Serializer[Any]):
    """The result of each symbol; each list in the order of the request."""

    fetches = FetchSerializer(many=True)
    cached = CachedSerializer(many=True)
    refused = RefusedSerializer(many=True)


def describe_outcomes(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Return the body of a reply that has the shape of `NewFetchesReply`."""
    fetches = [outcome.fetch for outcome in outcomes if outcome.fetch is not None]
    return {
        "fetches": FetchSerializer(fetches, many=True, context={"is_list": True}).data,
        "cached": [
            {"full_symbol": outcome.key.full_symbol, "dataset": outcome.dataset.pk}
            for outcome in outcomes
            if outcome.dataset is not None
        ],
        "refused": [
            {
                "full_symbol": outcome.key.full_symbol,
                "code": outcome.refusal.code,
                "detail": str(outcome.refusal),
                "retryable": outcome.refusal.retryable,
                "retry_after_s": getattr(outcome.refusal, "retry_after_s", None),
            }
            for outcome in outcomes
            if outcome.refusal is not None
        ],
    }


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
    retry_after_s = serializers.FloatField(
        allow_null=True,
        help_text="Seconds until the search may go on; the reply then holds only symbols of stored datasets. Null when the search is not paused.",
    )


class WorkerSerializer(serializers.Serializer[Any]):
    """A running worker."""

    name = serializers.CharField()
    host = serializers.CharField()
    source = serializers.CharField(help_text="The feed whose fetches it takes.")  # type: ignore[assignment]
    started_at = serializers.DateTimeField()
    seen_at = serializers.DateTimeField(help_text="Last update by the worker.")


class StatusSerializer(serializers.Serializer[Any]):
    """The state of the service."""

    source = serializers.CharField(  # type: ignore[assignment]
        help_text="tradingview, or sample for synthetic bars."
    )
    version = serializers.CharField()
    enabled = serializers.BooleanField()
    sign_in = serializers.DictField(child=serializers.CharField(allow_null=True))
    tokens_left = serializers.IntegerField(
        allow_null=True, help_text="Calls that may begin now; null without a limit."
    )
    calls_per_minute = serializers.IntegerField(
        allow_null=True,
        help_text="Calls to the feed that may begin in a minute; null without a limit.",
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
    counted_at = serializers.DateTimeField(
        help_text="When the datasets were counted; with more than 100,000 of them up to a minute ago."
    )
    free_bytes = serializers.IntegerField(
        allow_null=True, help_text="Free bytes of the datasets' disk; null with a bucket."
    )
    workers = WorkerSerializer(many=True)
    problems = serializers.ListField(
        child=serializers.CharField(), help_text="A sentence for each server of ours that is away."
    )
