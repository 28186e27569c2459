"""Parameters of requests, checked field by field; unknown parameters are refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import QueryDict
from rest_framework import serializers

from datasets.api.fields import Choice, Instant, Number, WholeNumber, YesOrNo
from datasets.archive.archive_bodies import MOST_BARS
from datasets.bars import (
    BAR_COLUMNS,
    IMPORTED,
    MAX_SYMBOL_LENGTH,
    Adjustment,
    BarLength,
    DatasetKey,
    Session,
    Timeframe,
)
from datasets.errors import InvalidRequest
from datasets.formats import FORMATS
from datasets.tradingview.symbols import TYPES

MAX_SYMBOLS = 1000
# An exchange, a colon and a symbol.
MAX_FULL_SYMBOL = 32 + 1 + MAX_SYMBOL_LENGTH
MAX_WAIT_S = 60.0


class StrictSerializer(serializers.Serializer[Any]):
    """Refuses unknown parameters, and parameters that are given twice."""

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return super().to_internal_value(data)
        errors = {
            name: [f"There is no such parameter; known are {', '.join(self.fields)}."]
            for name in sorted(set(data) - set(self.fields))
        }
        if isinstance(data, QueryDict):
            twice = [name for name in data if len(data.getlist(name)) > 1]
            errors |= {name: ["This parameter was given more than once."] for name in twice}
            data = data.dict()
        try:
            values = super().to_internal_value(data)
        except serializers.ValidationError as error:
            # All errors at once, so that a client can correct the request in one step.
            wrong: Any = error.detail
            raise serializers.ValidationError(wrong | errors) from error
        if errors:
            raise serializers.ValidationError(errors)
        return values


class SymbolParameters(StrictSerializer):
    """The query of `GET /api/tv/symbols`."""

    query = serializers.CharField(max_length=100, help_text="What a person would type.")
    exchange = serializers.CharField(
        max_length=32, default="", allow_blank=True, help_text="Only of this exchange."
    )
    type = Choice(TYPES, allow_blank=True, default="", help_text="Only instruments of this type.")
    start = WholeNumber(min_value=0, max_value=1000, default=0, help_text="Matches to pass over.")


class SeriesParameters(StrictSerializer):
    """The fields of a dataset's key beside its symbol."""

    timeframe = serializers.CharField(
        max_length=8,
        default="1h",
        help_text=f"Length of a bar: {', '.join(Timeframe)}; `1M` is a month.",
        error_messages=dict.fromkeys(
            ("blank", "max_length", "null"), f"Use one of {', '.join(Timeframe)}."
        ),
    )
    n_bars = WholeNumber(
        min_value=1, default=5000, help_text="Bars back from the newest, at most `TV_MAX_BARS`."
    )
    session = Choice(Session, default="regular", help_text="Trading hours covered.")
    adjustment = Choice(
        Adjustment,
        default="splits",
        help_text="Corporate actions that earlier prices are adjusted for.",
    )

    def validate_timeframe(self, value: str) -> str:
        try:
            return Timeframe.parse(value).value
        except InvalidRequest as error:
            raise serializers.ValidationError(error.errors["timeframe"]) from error

    def series(self) -> dict[str, Any]:
        """Return the checked values of these four fields."""
        return {
            name: self.validated_data[name]
            for name in ("timeframe", "n_bars", "session", "adjustment")
        }


class BarsParameters(StrictSerializer):
    """The part of a dataset that a reply holds, and its format."""

    closed = YesOrNo(default=False, help_text="`true` leaves out a bar that is still forming.")
    start = Instant(
        default=None, allow_null=True,
        help_text="Only bars that open at or after this instant: ISO 8601 (UTC unless it says otherwise), or UNIX seconds with at least nine digits.",
    )  # fmt: skip
    end = Instant(
        default=None,
        allow_null=True,
        help_text="Only bars that open before this instant.",
    )
    fields = serializers.CharField(  # type: ignore[assignment]
        required=False,
        max_length=64,
        help_text=f"Only these columns, separated by commas, of {', '.join(BAR_COLUMNS)}.",
    )
    format = Choice(
        FORMATS,
        required=False,
        help_text="The representation; without it, the `Accept` header decides.",
    )

    def validate_fields(self, value: str) -> tuple[str, ...]:
        names = tuple(name.strip() for name in value.split(",") if name.strip())
        wrong = [name for name in names if name not in BAR_COLUMNS]
        if wrong:
            raise serializers.ValidationError(
                f"{wrong[0]!r} is no column; use some of {', '.join(BAR_COLUMNS)}."
            )
        return names

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        start, end = attrs.get("start"), attrs.get("end")
        if start is not None and end is not None and end < start:
            raise serializers.ValidationError({"end": ["`end` lies before `start`."]})
        return attrs

    def part(self) -> dict[str, Any]:
        """Return the checked values as arguments of `BarsRequest`."""
        # Filled in here: an empty default would contradict the schema's list of choices.
        chosen = {"fields": (), "format": ""} | self.validated_data
        names = ("closed", "start", "end", "fields", "format")
        return {name: chosen[name] for name in names if name in self.get_fields()}


class ContentParameters(BarsParameters):
    """The query of `GET /api/tv/bars/{content_hash}`."""

    # Not a fact of the bars: it would change the reply of one address.
    closed = None  # type: ignore[assignment]


_OTHER_LENGTHS = "Others, such as `7`, `6h`, `2D`, `2W` or `3M`, are made of the largest of these that divides them."


class ArchiveParameters(BarsParameters):
    """The query of `GET /api/tv/series/{id}/bars`."""

    n_bars = WholeNumber(
        min_value=1, max_value=2**31 - 1, default=None, allow_null=True,
        help_text="Only the newest ones, of the whole archive or of the range.",
    )  # fmt: skip
    as_of = Instant(
        default=None, allow_null=True,
        help_text="The bars as they were known at this instant, in the spellings of `start`.",
    )  # fmt: skip

    def part(self) -> dict[str, Any]:
        """Return the checked values as arguments of `ArchiveRequest`."""
        values = self.validated_data
        return {**super().part(), "n_bars": values["n_bars"], "as_of": values["as_of"]}


class LiveParameters(StrictSerializer):
    """The query of `GET /api/tv/series/{id}/live`."""

    since = Instant(
        default=None, allow_null=True,
        help_text="Only bars that open at or after this instant, at most the newest 1,000; without it the newest two.",
    )  # fmt: skip


class OhlcParameters(BarsParameters, SeriesParameters):
    """The query of `GET /api/tv/ohlc`."""

    timeframe = serializers.CharField(
        max_length=8,
        default="1h",
        help_text=f"Length of a bar: {', '.join(Timeframe)}; `1M` is a month. {_OTHER_LENGTHS}",
        error_messages=dict.fromkeys(
            ("blank", "max_length", "null"), f"Use one of {', '.join(Timeframe)}. {_OTHER_LENGTHS}"
        ),
    )
    n_bars = WholeNumber(
        min_value=1, max_value=MOST_BARS, default=5000,
        help_text="Bars back from the newest; above `TV_MAX_BARS` only where the archive holds that many.",
    )  # fmt: skip
    symbol = serializers.CharField(
        max_length=MAX_FULL_SYMBOL, help_text="`BTCUSDT`, or `BINANCE:BTCUSDT` without `exchange`."
    )
    exchange = serializers.CharField(
        max_length=32,
        default="",
        allow_blank=True,
        help_text="Required unless the symbol names it.",
    )
    source = Choice(  # type: ignore[assignment]
        [IMPORTED],
        required=False,
        help_text="`imported`: bars that came from a file; without it, those of the service's own feed.",
    )
    use_cache = YesOrNo(default=True, help_text="`false` fetches again and replaces the dataset.")
    max_age = WholeNumber(
        min_value=0, max_value=10**9, default=None, allow_null=True,
        help_text="Seconds; an older dataset is fetched again.",
    )  # fmt: skip
    max_stale = WholeNumber(
        min_value=0, max_value=10**9, default=0,
        help_text="Seconds for which a stale dataset is served while it is fetched again.",
    )  # fmt: skip
    as_of = Instant(
        default=None, allow_null=True,
        help_text="The bars as they were known at this instant, in the spellings of `start`; nothing is fetched.",
    )  # fmt: skip
    wait = Number(
        min_value=0,
        max_value=MAX_WAIT_S,
        default=30.0,
        help_text="Seconds to wait for a fetch before a 202.",
    )
    redirect = YesOrNo(
        default=False,
        help_text="`true`: a 307 to the address of these bars by their content, which caches may keep; bars without one come at once.",
    )

    def validate_timeframe(self, value: str) -> str:
        try:
            return BarLength.parse(value).value
        except InvalidRequest as error:
            raise serializers.ValidationError(error.errors["timeframe"]) from error

    def to_internal_value(self, data: Any) -> Any:
        try:
            return super().to_internal_value(data)
        except serializers.ValidationError as error:
            # Symbol and exchange are checked together, also when another parameter is wrong.
            wrong = _wrong_names(data.get("symbol", ""), data.get("exchange", ""))
            raise serializers.ValidationError({**wrong, **dict(error.detail)}) from None  # type: ignore[arg-type]


def _wrong_names(symbol: str, exchange: str) -> dict[str, list[str]]:
    try:
        DatasetKey.parse(source=settings.TV_SOURCE, symbol=symbol, exchange=exchange)
    except InvalidRequest as error:
        return error.errors
    return {}
