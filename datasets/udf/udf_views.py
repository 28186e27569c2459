"""The addresses of the datafeed: each reads its parameters, calls one function, and renders."""

from __future__ import annotations

import hashlib
import re
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse

from datasets.api.endpoints.plain_reads import PlainReadViewSet, accept_of
from datasets.api.replies import accepts_gzip, reply
from datasets.errors import InvalidRequest
from datasets.fetching import symbol_search
from datasets.models import Series, database
from datasets.serving.reply_bodies.body_cache import Rendered
from datasets.serving.trust import Trusted
from datasets.tradingview.symbols import TYPES
from datasets.udf import udf_schema
from datasets.udf.bar_times import bars_for, columns_of
from datasets.udf.chart_marks import gap_marks, revision_marks
from datasets.udf.held_series import find_held, held_or_fetched
from datasets.udf.symbol_info import symbol_info
from datasets.udf.tickers import RESOLUTIONS, Ticker, timeframe_of

_LONGEST_TEXT = 200
_MOST_MATCHES = 50
_NUMBER = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,6})?")
# Bytes. A shorter body is not worth the gzip.
_GZIP_FROM = 2048

_exchanges: Trusted[str, tuple[str, ...]] = Trusted(most=4)


class UdfViewSet(PlainReadViewSet):
    """TradingView's UDF datafeed."""

    @udf_schema.config_schema
    def config(self, request: HttpRequest) -> HttpResponse:
        """Return what this datafeed can do."""
        self.admit(request)
        names = _exchanges.get(settings.TV_SOURCE, _stored_exchanges) or ()
        everywhere = {"value": "", "name": "All exchanges", "desc": ""}
        body = {
            "supported_resolutions": list(RESOLUTIONS.values()),
            "supports_search": True,
            "supports_group_request": False,
            "supports_marks": True,
            "supports_timescale_marks": True,
            "supports_time": True,
            "exchanges": [everywhere, *({"value": name, "name": name, "desc": name} for name in names)],
            "symbols_types": [{"name": "All types", "value": ""}, *({"name": name, "value": name} for name in TYPES)],
        }  # fmt: skip
        return _json(request, body)

    @udf_schema.time_schema
    def time(self, request: HttpRequest) -> HttpResponse:
        """Return the service's clock in UNIX seconds, as plain text."""
        self.admit(request)
        headers = {"Cache-Control": "no-store"}
        return HttpResponse(
            str(int(database.shared_now().timestamp())), content_type="text/plain", headers=headers
        )

    @udf_schema.symbols_schema
    def symbols(self, request: HttpRequest) -> HttpResponse:
        """Return the description of one symbol."""
        caller = self.admit(request)
        return _json(request, symbol_info(Ticker.parse(_text(request, "symbol")), caller))

    @udf_schema.search_schema
    def search(self, request: HttpRequest) -> HttpResponse:
        """Return the symbols that match a text."""
        caller = self.admit(request)
        caller.require_own_site()
        query, exchange, kind = (
            _text(request, name, default="") for name in ("query", "exchange", "type")
        )
        if kind not in ("", *TYPES):
            raise InvalidRequest({"type": [f"{kind!r} is not allowed; use one of {', '.join(TYPES)}."]})  # fmt: skip
        limit = min(_number(request, "limit", default=30), _MOST_MATCHES)
        # The library's dialog opens with an empty text.
        if query:
            found = symbol_search.find_symbols(query, exchange=exchange, type=kind).page.matches
        else:
            found = symbol_search.stored_symbols(exchange=exchange, type=kind)
        body = [
            {
                "symbol": match.symbol,
                "full_name": match.full_symbol,
                "ticker": match.full_symbol,
                "description": match.description,
                "exchange": match.exchange,
                "type": match.type,
            }
            for match in found[: max(0, limit)]
        ]
        return _json(request, body)

    @udf_schema.history_schema
    def history(self, request: HttpRequest) -> HttpResponse:
        """Return bars before `to`."""
        caller = self.admit(request)
        ticker, timeframe = _series_of(request)
        to_s = _number(request, "to", default=int(database.shared_now().timestamp()) + 366 * 86_400)
        from_s = _number(request, "from", default=to_s)
        countback = max(0, _number(request, "countback", default=0))
        held = held_or_fetched(ticker, timeframe, caller)
        if held is None:
            return _json(request, {"s": "no_data"})
        bars = bars_for(held, timeframe, from_s, to_s, countback)
        if not len(bars.times):
            return _json(request, {"s": "no_data"})
        return _json(request, {"s": "ok", **columns_of(bars)})

    @udf_schema.marks_schema
    def marks(self, request: HttpRequest) -> HttpResponse:
        """Return revisions and splits as marks of bars."""
        self.admit(request)
        ticker, timeframe = _series_of(request)
        held = find_held(ticker, timeframe)
        span = _number(request, "from"), _number(request, "to")
        return _json(request, [] if held is None else revision_marks(held, timeframe, *span))

    @udf_schema.timescale_marks_schema
    def timescale_marks(self, request: HttpRequest) -> HttpResponse:
        """Return missing bars as marks of the time scale."""
        self.admit(request)
        ticker, timeframe = _series_of(request)
        held = find_held(ticker, timeframe)
        span = _number(request, "from"), _number(request, "to")
        return _json(request, [] if held is None else gap_marks(held, timeframe, *span))

    @udf_schema.widgets_schema
    def widgets(self, request: HttpRequest) -> HttpResponse:
        """Return the widgets that OpenBB Workspace offers of this service."""
        self.admit(request)
        newest = Series.objects.filter(source=settings.TV_SOURCE).order_by("-fetched_at").first()
        symbol = "NASDAQ:AAPL" if newest is None else newest.series_key.full_symbol
        widget = {
            "name": "Bars",
            "description": "Stored TradingView bars on a chart.",
            "type": "advanced_charting",
            "endpoint": "/udf",
            "gridData": {"w": 20, "h": 20},
            "data": {"defaultSymbol": symbol, "updateFrequency": 60_000},
        }
        return _json(request, {"tradingview_datasets": widget})


def _stored_exchanges() -> tuple[str, ...]:
    rows = Series.objects.filter(source=settings.TV_SOURCE).exclude(exchange="")
    names = rows.order_by("exchange").values_list("exchange", flat=True)
    return tuple(names.distinct()[:200])


def _series_of(request: HttpRequest) -> tuple[Ticker, Any]:
    return Ticker.parse(_text(request, "symbol")), timeframe_of(_text(request, "resolution"))


def _text(request: HttpRequest, name: str, *, default: str | None = None) -> str:
    """Return a parameter; others than those that are read are ignored, because the library adds some."""
    found = request.GET.get(name, default)
    if found is None or (default is None and not found):
        raise InvalidRequest({name: ["This parameter is required."]})
    if len(found) > _LONGEST_TEXT:
        raise InvalidRequest({name: [f"It is longer than {_LONGEST_TEXT} characters."]})
    return found


def _number(request: HttpRequest, name: str, *, default: int | None = None) -> int:
    """Return a parameter in whole seconds or bars; a fraction is cut off."""
    text = _text(request, name, default=None if default is None else str(default))
    if not _NUMBER.fullmatch(text):
        raise InvalidRequest({name: [f"{text!r} is no number, such as 1735689600."]})
    return int(float(text))


def _json(request: HttpRequest, body: Any) -> HttpResponse:
    """Return the body as JSON with its `ETag`, or 304."""
    text = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    rendered = Rendered(text, f'"{hashlib.sha256(text).hexdigest()[:32]}"', is_gzip=False)
    _, accept_encoding = accept_of(request)
    if len(text) >= _GZIP_FROM and accepts_gzip(accept_encoding):
        rendered = rendered.packed()
    return reply(request, rendered, media_type="application/json")
