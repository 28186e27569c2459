"""The project's addresses, and beside them what its cached reply is compared with."""

from __future__ import annotations

import gzip
from functools import cache
from random import Random

import pandas as pd
from django.http import HttpRequest, HttpResponse
from django.urls import path
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from datasets.catalog import outputs
from datasets.models import Dataset
from tvproject.urls import urlpatterns as project_urlpatterns


class EmptyView(APIView):
    """The least that Django REST framework can answer."""

    def get(self, request: Request) -> Response:
        return Response({})


class NaiveView(APIView):
    """The usual answer: pandas to records to DRF's JSON, each time."""

    def get(self, request: Request) -> Response:
        dataset = Dataset.objects.get(symbol=request.query_params["symbol"])
        bars = pd.read_parquet(outputs.get_store().folder / dataset.path)
        bars["time"] = bars["time"].map(lambda time: time.isoformat())
        return Response({"symbol": dataset.symbol, "ohlc": bars.to_dict("records")})


@cache
def ready_bytes() -> bytes:
    """Return a body of the size of ours."""
    return gzip.compress(Random(1).randbytes(120_000))


def ready(request: HttpRequest) -> HttpResponse:
    """Answer with bytes that are there already, in plain Django."""
    return HttpResponse(
        ready_bytes(), content_type="application/json", headers={"Content-Encoding": "gzip"}
    )


urlpatterns = [
    path("bench/empty", EmptyView.as_view()),
    path("bench/empty-at-once", EmptyView.as_view()),
    path("bench/naive", NaiveView.as_view()),
    path("bench/ready", ready),
    *project_urlpatterns,
]
