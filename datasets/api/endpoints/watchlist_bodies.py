"""Bodies of the endpoints of watchlists: what a client sends, and what it gets."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from datasets.api.fields import Choice, WholeNumber, YesOrNo
from datasets.api.parameters import MAX_FULL_SYMBOL, MAX_SYMBOLS, StrictSerializer
from datasets.bars import Adjustment, Session, Timeframe
from datasets.live.list_quotes import Quote
from datasets.models import WatchedSymbol, Watchlist
from datasets.watchlists import Budget, SymbolEntry, read_symbols
from datasets.watchlists.freshness import FreshnessState
from datasets.watchlists.symbol_texts import MOST_BYTES


class SymbolsBody(StrictSerializer):
    """Symbols to add: a list, a text in the format of TradingView's export, or both."""

    symbols = serializers.ListField(
        child=serializers.CharField(max_length=MAX_FULL_SYMBOL),
        max_length=MAX_SYMBOLS,
        default=list,
        help_text="`EXCHANGE:SYMBOL` each.",
    )
    text = serializers.CharField(
        default="", allow_blank=True, trim_whitespace=False, max_length=MOST_BYTES,
        help_text="One symbol a line or commas between them; `###Name` begins a section.",
    )  # fmt: skip
    check_symbols = YesOrNo(
        default=True, help_text="`false` adds also symbols that the symbol search does not have."
    )

    def entries(self) -> list[SymbolEntry]:
        """Return the symbols of the checked body; raise `InvalidRequest` for a wrong one."""
        values = self.validated_data
        return [*read_symbols("\n".join(values["symbols"])), *read_symbols(values["text"])]


class BudgetSerializer(serializers.Serializer[Budget]):
    """The calls that the lists need in the coming week, and those that `TV_RATE_PER_MINUTE` allows."""

    calls_a_day = serializers.IntegerField(help_text="On the busiest day: one a closed bar.")
    allowed_a_day = serializers.IntegerField(allow_null=True, help_text="null without a limit.")
    calls_an_hour = serializers.IntegerField(
        help_text="In the busiest hour, for bars shorter than a day."
    )
    allowed_an_hour = serializers.IntegerField(allow_null=True)
    n_at_one_close = serializers.IntegerField(
        help_text="The most series of days and longer bars that close at one instant."
    )
    close_takes_min = serializers.IntegerField(
        allow_null=True, help_text="Minutes until these are fetched."
    )
    fits = serializers.BooleanField()
    sentence = serializers.CharField(help_text="All this in words.")


class WatchlistValues(StrictSerializer):
    """The values of a list; one that is left out stays as it is, or has its default."""

    name = serializers.CharField(max_length=100, required=False)
    timeframes = serializers.ListField(
        child=serializers.CharField(max_length=8), min_length=1, max_length=50, required=False,
        help_text=f"Lengths of bars, of {', '.join(Timeframe)} (`1D`).",
    )  # fmt: skip
    session = Choice(Session, required=False, help_text="Trading hours covered (`regular`).")
    adjustment = Choice(
        Adjustment, required=False, help_text="Corporate actions adjusted for (`splits`)."
    )
    first_bars = WholeNumber(
        min_value=1, required=False, help_text="Bars of the first fetch, at most `TV_MAX_BARS` (5000)."
    )  # fmt: skip
    settle_s = WholeNumber(
        min_value=0, max_value=3600, required=False, help_text="Seconds from a close to its fetch (5)."
    )  # fmt: skip


class NewWatchlist(WatchlistValues, SymbolsBody):
    """The body of `POST /api/tv/watchlists`: a name, and optionally values and symbols."""

    name = serializers.CharField(max_length=100)


class WatchlistChanges(WatchlistValues):
    """The body of `PATCH /api/tv/watchlists/{id}`."""

    is_paused = YesOrNo(
        required=False,
        help_text="`false` also fetches again the series that were paused after failures.",
    )


class WatchlistSerializer(serializers.ModelSerializer[Watchlist]):
    """One watchlist and its values."""

    timeframes = serializers.ListField(child=serializers.CharField(), read_only=True)
    n_symbols = serializers.SerializerMethodField()

    class Meta:
        model = Watchlist
        fields = [
            "id", "name", "timeframes", "session", "adjustment", "first_bars", "settle_s", "is_paused",
            "n_symbols", "created_at",
        ]  # fmt: skip
        read_only_fields = fields

    def get_n_symbols(self, watchlist: Watchlist) -> int:
        # A list counts all its rows in one query.
        counted: int | None = getattr(watchlist, "n_symbols", None)
        return watchlist.symbols.count() if counted is None else counted


class WatchedSymbolSerializer(serializers.ModelSerializer[WatchedSymbol]):
    """One symbol of a watchlist."""

    full_symbol = serializers.CharField(read_only=True)

    class Meta:
        model = WatchedSymbol
        fields = ["id", "full_symbol", "exchange", "symbol", "section", "problem"]
        read_only_fields = fields


class SeriesStateSerializer(serializers.Serializer[Any]):
    """The state of one series of a watchlist; instants are UTC."""

    id = serializers.IntegerField(help_text="Number of its schedule.")
    full_symbol = serializers.CharField()
    timeframe = serializers.CharField()
    series = serializers.IntegerField(allow_null=True, help_text="Null until it has bars.")
    count = serializers.IntegerField(help_text="Bars held.")
    n_holes = serializers.IntegerField()
    state = serializers.ChoiceField(choices=FreshnessState.choices)
    lag_bars = serializers.IntegerField(
        allow_null=True, help_text="Closed bars that are not held; null where that is not known."
    )
    expected_through = serializers.DateTimeField(allow_null=True)
    held_through = serializers.DateTimeField(allow_null=True)
    next_run_at = serializers.DateTimeField(
        allow_null=True, help_text="Start of the next fetch; null where none is planned."
    )
    opens_at = serializers.DateTimeField(allow_null=True)
    reason = serializers.CharField(allow_blank=True)
    is_backfilled = serializers.BooleanField(help_text="Whether it has its whole first window.")
    last_ok_at = serializers.DateTimeField(allow_null=True)
    failures = serializers.IntegerField()
    last_error = serializers.CharField(allow_blank=True)


class QuoteSerializer(serializers.Serializer[Any]):
    """The last price of one symbol of a watchlist, at one of its timeframes."""

    id = serializers.IntegerField(source="symbol.pk")
    full_symbol = serializers.CharField(source="symbol.full_symbol")
    exchange = serializers.CharField(source="symbol.exchange")
    symbol = serializers.CharField(source="symbol.symbol")
    section = serializers.CharField(source="symbol.section", allow_blank=True)
    series = serializers.IntegerField(
        source="series.pk", default=None, allow_null=True, help_text="Null until it has bars."
    )
    description = serializers.SerializerMethodField()
    time = serializers.DateTimeField(
        allow_null=True, help_text="Opening of the newest held bar, UTC."
    )
    close = serializers.FloatField(allow_null=True, help_text="Close of that bar.")
    previous_close = serializers.FloatField(
        allow_null=True, help_text="Close of the bar before it; null with a single bar."
    )
    change = serializers.FloatField(allow_null=True, help_text="`close` less `previous_close`.")
    change_percent = serializers.FloatField(allow_null=True)
    pricescale = serializers.SerializerMethodField(
        help_text="With `minmov` the market's tick, `minmov` / `pricescale`; null if not known."
    )
    minmov = serializers.SerializerMethodField()
    state = serializers.SerializerMethodField(help_text="How fresh the bars are.")
    reason = serializers.SerializerMethodField(
        help_text="Why the series is in this state, or has no price."
    )

    def get_description(self, quote: Quote) -> str:
        return str(self._instrument(quote).get("description", ""))

    def get_pricescale(self, quote: Quote) -> int | None:
        return self._instrument(quote).get("pricescale")

    def get_minmov(self, quote: Quote) -> int | None:
        return self._instrument(quote).get("minmov")

    @extend_schema_field(serializers.ChoiceField(choices=FreshnessState.choices))
    def get_state(self, quote: Quote) -> str:
        fresh = quote.freshness
        return (FreshnessState.UNKNOWN if fresh is None else fresh.state).value

    def get_reason(self, quote: Quote) -> str:
        return quote.problem or ("" if quote.freshness is None else quote.freshness.reason)

    def _instrument(self, quote: Quote) -> dict[str, Any]:
        return {} if quote.series is None else quote.series.instrument


class QuoteQuery(StrictSerializer):
    """The query of `GET /api/tv/watchlists/{id}/quotes`."""

    timeframe = serializers.CharField(
        required=False,
        max_length=32,
        help_text="One timeframe of the list; without it `1D`, or the first of the list.",
    )


class SymbolQuery(StrictSerializer):
    """The query of `DELETE /api/tv/watchlists/{id}/symbols`."""

    symbol = serializers.CharField(max_length=MAX_FULL_SYMBOL, help_text="`EXCHANGE:SYMBOL`.")
