"""`GET /api/tv/symbols`: the symbol search."""

from __future__ import annotations

import math
from dataclasses import asdict

from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.viewsets import ViewSet

from datasets.api import schema
from datasets.api.access import READS, caller_of
from datasets.api.filtering import StrictQueryMixin
from datasets.api.parameters import SymbolParameters
from datasets.fetching import symbol_search


class SymbolViewSet(StrictQueryMixin, ViewSet):
    """Instruments that TradingView lists."""

    required_scopes = READS

    @schema.symbols_schema
    def list(self, request: Request) -> Response:
        """Find symbols by code or description. Symbols with a dataset come first. Results are cached for a day."""
        parameters = SymbolParameters(data=request.query_params)
        parameters.is_valid(raise_exception=True)
        caller_of(request).require_own_site()
        found = symbol_search.find_symbols(**parameters.validated_data)
        body = {
            "query": parameters.validated_data["query"],
            "has_more": found.page.next_start is not None,
            "symbols": [asdict(match) for match in found.page.matches],
            "next_start": found.page.next_start,
            "retry_after_s": found.retry_after_s,
        }
        response = Response(body)
        if found.retry_after_s is not None:
            response["Retry-After"] = str(math.ceil(found.retry_after_s))
        return response
