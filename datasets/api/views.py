"""The endpoints: each validates, calls one function of `serving`, and renders."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import orjson
from django.http import HttpResponse
from django.urls import reverse
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from datasets import formats, searching, serving
from datasets.api.access import requester
from datasets.api.parameters import OhlcParameters, SymbolParameters
from datasets.errors import NotFound
from datasets.models import Fetch


class OhlcView(APIView):
    """`GET /api/tv/ohlc`: the bars, from the cache or freshly fetched."""

    def get(self, request: Request) -> HttpResponse:
        parameters = OhlcParameters(data=request.query_params.dict())
        parameters.is_valid(raise_exception=True)
        values = parameters.validated_data
        answer = serving.get_bars(
            parameters.key(),
            use_cache=values["use_cache"],
            wait_s=values["wait"],
            via="page" if request.headers.get("X-Requested-By") == "page" else "api",
            by=requester(request),
        )
        if isinstance(answer, Fetch):
            return _accepted(answer)
        return HttpResponse(_ohlc_json(answer), content_type="application/json")


class SymbolsView(APIView):
    """`GET /api/tv/symbols?query=`: find symbols by code or description."""

    def get(self, request: Request) -> Response:
        parameters = SymbolParameters(data=request.query_params.dict())
        parameters.is_valid(raise_exception=True)
        serving.require_enabled()
        page = searching.find_symbols(**parameters.validated_data)
        return Response(
            {
                "query": parameters.validated_data["query"],
                "symbols": [asdict(match) for match in page.matches],
                "next_start": page.next_start,
                "has_more": page.next_start is not None,
            }
        )


class FetchView(APIView):
    """`GET /api/tv/fetches/{id}`: how a fetch is getting on."""

    def get(self, request: Request, fetch_id: int) -> Response:
        fetch = Fetch.objects.filter(pk=fetch_id).first()
        if fetch is None:
            raise NotFound(f"There is no fetch {fetch_id}.")
        return Response(describe_fetch(fetch))


def describe_fetch(fetch: Fetch) -> dict[str, Any]:
    """Return a fetch's row for the API."""
    error = None
    if fetch.error_code:
        error = {
            "code": fetch.error_code,
            "detail": fetch.error_message,
            "retryable": fetch.retryable,
        }
    return {
        "id": fetch.pk,
        **fetch.key.as_dict(),
        "state": fetch.state,
        "count": fetch.n_rows,
        "attempts": fetch.attempts,
        "dataset": fetch.dataset_id,
        "error": error,
        "waited_ms": fetch.waited_ms,
        "fetched_ms": fetch.fetched_ms,
        "stored_ms": fetch.stored_ms,
        "requested_at": fetch.requested_at,
        "started_at": fetch.started_at,
        "finished_at": fetch.finished_at,
        "next_attempt_at": fetch.next_attempt_at,
    }


def _accepted(fetch: Fetch) -> HttpResponse:
    response = Response(describe_fetch(fetch), status=202)
    response["Location"] = reverse("api-fetch", args=[fetch.pk])
    response["Retry-After"] = "1" if fetch.started_at else "2"
    return response


def _ohlc_json(answer: serving.Answer) -> bytes:
    """Return the reply; the rows are rendered apart, so that they can be kept."""
    dataset = answer.dataset
    head = {
        "symbol": dataset.symbol,
        "exchange": dataset.exchange,
        "timeframe": dataset.timeframe,
        "count": dataset.n_rows,
    }
    tail = {
        "source": dataset.source,
        "dataset": dataset.pk,
        "cached": answer.is_cached,
        "fetched_at": dataset.fetched_at,
        "last_bar_final": dataset.last_bar_final,
        "session": dataset.session,
        "adjustment": dataset.adjustment,
        "content_hash": dataset.content_hash,
        "is_limited": dataset.is_limited,
        "instrument": dataset.instrument,
    }
    rows = formats.rows_json(answer.table)
    return (
        orjson.dumps(head)[:-1]
        + b',"ohlc":'
        + rows
        + b","
        + orjson.dumps(tail, option=orjson.OPT_UTC_Z)[1:]
    )
