"""Serializers of replies with bars, of the series that they belong to, and of reports on missing bars."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import OpenApiParameter, extend_schema_field
from rest_framework import serializers

from datasets.api.fields import RowSerializer
from datasets.bars.series_keys import SERIES_FIELDS
from datasets.calendars import Kind
from datasets.models import Dataset, Revision, Series, database
from datasets.watchlists.freshness import Freshness, FreshnessState, series_freshness

_HEADERS = {
    "ETag": "Names the body: send it in `If-None-Match` to get a 304 while nothing has changed.",
    "Cache-Status": "`datasets; hit` for stored bars, `datasets; fwd=miss` for a fetch (RFC 9211).",
    "Freshness": "current, behind, closed or unknown, at this moment.",
    "Lag-Bars": "Closed bars that are missing; absent for unknown hours.",
    "Expected-Through": "Close of the newest bar that the feed can give by now, UTC.",
    "Market-Opens-At": "Next beginning of trade, UTC; only while the market is closed.",
}
# Headers of the replies with bars, also of a 304.
BARS_HEADERS = [
    OpenApiParameter(name, str, OpenApiParameter.HEADER, description=text, response=[200, 304])
    for name, text in _HEADERS.items()
]


class BarSerializer(serializers.Serializer[Any]):
    """One bar."""

    time = serializers.DateTimeField(help_text="The opening instant, UTC.", required=False)
    open = serializers.FloatField(required=False)
    high = serializers.FloatField(required=False)
    low = serializers.FloatField(required=False)
    close = serializers.FloatField(required=False)
    volume = serializers.FloatField(
        required=False, allow_null=True, help_text="null where the exchange gives none."
    )


class ColumnsSerializer(serializers.Serializer[Any]):
    """The bars as one list a column, oldest first; only the columns asked for."""

    time = serializers.ListField(
        child=serializers.IntegerField(),
        required=False,
        help_text="Opening instants, UNIX seconds.",
    )
    open = serializers.ListField(child=serializers.FloatField(), required=False)
    high = serializers.ListField(child=serializers.FloatField(), required=False)
    low = serializers.ListField(child=serializers.FloatField(), required=False)
    close = serializers.ListField(child=serializers.FloatField(), required=False)
    volume = serializers.ListField(child=serializers.FloatField(allow_null=True), required=False)


class ContentSerializer(serializers.Serializer[Any]):
    """Bars by their content; `ohlc` is a list of bars, or with `format=columns` one list a column."""

    content_hash = serializers.CharField()
    count = serializers.IntegerField()
    ohlc = serializers.JSONField()


class OhlcSerializer(serializers.Serializer[Any]):
    """The bars and what they are; keys may be added in later versions."""

    symbol = serializers.CharField()
    exchange = serializers.CharField()
    timeframe = serializers.CharField()
    count = serializers.IntegerField()
    ohlc = BarSerializer(many=True)
    source = serializers.CharField(help_text="tradingview, or sample for synthetic bars.")  # type: ignore[assignment]
    dataset = serializers.IntegerField(
        allow_null=True, help_text="null where the archive of the series answers."
    )
    cached = serializers.BooleanField()
    stale = serializers.BooleanField()
    fetched_at = serializers.DateTimeField()
    last_bar_final = serializers.BooleanField(allow_null=True)
    complete_until = serializers.DateTimeField(
        allow_null=True,
        help_text="From this instant on TradingView can give newer bars; null where the hours are not known.",
    )
    n_bars = serializers.IntegerField(
        allow_null=True, help_text="null for a range of the archive, which has no number of bars."
    )
    made_from = serializers.CharField(
        required=False,
        help_text="Only for a timeframe that TradingView does not send: the timeframe of the dataset.",
    )
    session = serializers.CharField()
    adjustment = serializers.CharField()
    content_hash = serializers.CharField()
    bars_url = serializers.CharField(
        required=False,
        allow_null=True,
        help_text="Path of these bars by their content, which caches may keep; null or absent where they have none.",
    )
    is_limited = serializers.BooleanField()
    covers_start = serializers.BooleanField(
        allow_null=True,
        help_text="false: `start` is earlier than `held_from`, and bars may be missing between them; null without `start`.",
    )
    held_from = serializers.DateTimeField(
        allow_null=True, help_text="The opening of the oldest bar that could be given."
    )
    held_through = serializers.DateTimeField(
        allow_null=True, help_text="The opening of the newest bar that could be given."
    )
    doubts = serializers.DictField(
        child=serializers.IntegerField(),
        help_text="What looks odd and may be right: a code and the number of bars; empty for good bars.",
    )
    instrument = serializers.DictField()
    series = serializers.IntegerField(
        required=False, help_text="Only where an archive answers, as all keys below."
    )
    as_of = serializers.DateTimeField(required=False, allow_null=True)
    generation = serializers.IntegerField(
        required=False, help_text="Number of the basis of the prices."
    )
    holes = serializers.ListField(
        required=False,
        child=serializers.DictField(),
        help_text="Times in the range that no fetch has covered: `after`, `before`, `reason`.",
    )
    why_held_from = serializers.CharField(
        required=False, allow_blank=True, help_text="Why older bars are not given."
    )
    rescaled = serializers.ListField(
        required=False,
        child=serializers.DictField(),
        help_text="Older bars in the present basis: `before`, `factor`, `offset`.",
    )


class TradingDaysSerializer(serializers.Serializer[Any]):
    """The trading days of the bars, in order."""

    first = serializers.ListField(
        child=serializers.IntegerField(), help_text="The position of each day's first bar."
    )
    date = serializers.ListField(
        child=serializers.DateField(), help_text="The trading date, as the exchange counts it."
    )


class OhlcColumnsSerializer(OhlcSerializer):
    """The same with `format=columns`."""

    ohlc = ColumnsSerializer()  # type: ignore[assignment]
    trading_days = TradingDaysSerializer()


class GapFindingSerializer(serializers.Serializer[Any]):
    """A run of missing bars."""

    kind = serializers.ChoiceField(choices=[kind.value for kind in Kind])
    start = serializers.DateTimeField(help_text="The opening of the first missing bar.")
    end = serializers.DateTimeField(help_text="The end of the last missing bar.")
    n_bars = serializers.IntegerField()
    n_sessions = serializers.IntegerField(help_text="Trading days; 1 for a run within a day.")
    reason = serializers.CharField(help_text="One sentence: how it is known.")


class GapReportSerializer(serializers.Serializer[Any]):
    """Which bars of a dataset are missing, and how that is known."""

    dataset = serializers.IntegerField()
    full_symbol = serializers.CharField()
    expected = serializers.IntegerField(help_text="`held` + `missing`.")
    held = serializers.IntegerField()
    missing = serializers.IntegerField(help_text="Bars in the findings.")
    quiet = serializers.IntegerField(help_text="Intervals without a bar that chance explains.")
    breaks = serializers.IntegerField(
        help_text="Intervals at times of the day that never have a bar."
    )
    outside = serializers.IntegerField(help_text="Bars outside the calendar's hours.")
    share_held = serializers.FloatField(
        allow_null=True, help_text="`held` / `expected`, from 0 to 1."
    )
    why_unknown = serializers.CharField(
        help_text="Why the calendar cannot be read; there is no report then."
    )
    second_opinion = serializers.CharField(
        help_text="The market of the second calendar; empty where there is none."
    )
    counts = serializers.DictField(
        child=serializers.IntegerField(), help_text="Missing bars by kind."
    )
    largest = GapFindingSerializer(allow_null=True)
    n_findings = serializers.IntegerField()
    findings = GapFindingSerializer(many=True, help_text="In order of time; at most 200.")
    looked_at = serializers.DateTimeField(help_text="When the bars were fetched.")


class SeriesGapReportSerializer(GapReportSerializer):
    """Which bars of a series are missing, and how that is known."""

    dataset = None  # type: ignore[assignment]
    series = serializers.IntegerField()


class FreshnessSerializer(serializers.Serializer[Freshness]):
    """How fresh the bars of a series are at the time of the reply."""

    state = serializers.ChoiceField(choices=FreshnessState.choices)
    lag_bars = serializers.IntegerField(
        allow_null=True, help_text="Closed bars that are not held; null for unknown hours."
    )
    expected_through = serializers.DateTimeField(
        allow_null=True, help_text="Close of the newest bar that the feed can give by now."
    )
    held_through = serializers.DateTimeField(
        allow_null=True, help_text="Close up to which the held bars are complete."
    )
    complete_until = serializers.DateTimeField(
        allow_null=True, help_text="From this instant on the feed can give newer bars."
    )
    opens_at = serializers.DateTimeField(
        allow_null=True, help_text="Next beginning of trade, while the market is closed."
    )
    next_run_at = serializers.DateTimeField(
        allow_null=True, help_text="Start of the next scheduled fetch; null without one."
    )
    reason = serializers.CharField(help_text="All this in words.")


_FRESHNESS = tuple(FreshnessSerializer().fields)


class SeriesSerializer(RowSerializer[Series]):
    """One series: its key, and the facts of its archive."""

    full_symbol = serializers.CharField(read_only=True)
    count = serializers.IntegerField(source="n_rows", read_only=True, help_text="Bars held.")
    datasets = serializers.PrimaryKeyRelatedField[Dataset](many=True, read_only=True)
    freshness = serializers.SerializerMethodField(
        help_text="How far the bars reach, how many closed ones are missing, and why."
    )

    class Meta:
        model = Series
        fields = [
            "id", "full_symbol", *SERIES_FIELDS, "count", "first_time", "last_time", "last_bar_final", "fetched_at",
            "generation", "is_awaiting", "n_holes", "bytes", "instrument", "datasets", "freshness",
        ]  # fmt: skip
        read_only_fields = fields

    @extend_schema_field(FreshnessSerializer)
    def get_freshness(self, series: Series) -> dict[str, Any]:
        found = series_freshness(series, database.shared_now())
        return {name: getattr(found, name) for name in _FRESHNESS}


class RevisionSerializer(RowSerializer[Revision]):
    """One difference between two fetches of a series."""

    count = serializers.IntegerField(source="n_bars", read_only=True, help_text="Bars that differ.")
    fetch = serializers.IntegerField(source="fetch_id", read_only=True, allow_null=True)
    decided_by = serializers.SerializerMethodField(
        help_text="`fetch` for a second fetch, `person` for a user, else empty."
    )

    class Meta:
        model = Revision
        fields = [
            "id", "number", "finding", "state", "found_at", "count", "first_time", "last_time", "factor", "offset",
            "is_split", "largest_change", "generation", "fetch", "decided_at", "decided_by",
        ]  # fmt: skip
        read_only_fields = fields

    def get_decided_by(self, revision: Revision) -> str:
        # Only the admin and staff on the pages see the names of users.
        return revision.decided_by if revision.decided_by in ("", "fetch") else "person"
