"""The project's addresses, and the views that its cached reply is compared with."""

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

from datasets.api.access import READS
from datasets.catalog import outputs
from datasets.models import Dataset
from tvproject.urls import urlpatterns as project_urlpatterns


class EmptyView(APIView):
    """The smallest reply of Django REST framework."""

    required_scopes = READS

    def get(self, request: Request) -> Response:
        return Response({})


class NaiveView(APIView):
    """The usual implementation: pandas to records to DRF's JSON, for each request."""

    required_scopes = READS

    def get(self, request: Request) -> Response:
        dataset = Dataset.objects.get(symbol=request.query_params["symbol"])
        bars = pd.read_parquet(outputs.get_store().folder / dataset.path)
        bars["time"] = bars["time"].map(lambda time: time.isoformat())
        return Response({"symbol": dataset.symbol, "ohlc": bars.to_dict("records")})


@cache
def ready_bytes() -> bytes:
    """Return a body of about the size of a cached reply."""
    return gzip.compress(Random(1).randbytes(120_000))


def ready(request: HttpRequest) -> HttpResponse:
    """Answer with prepared bytes, in plain Django."""
    return HttpResponse(
        ready_bytes(), content_type="application/json", headers={"Content-Encoding": "gzip"}
    )


urlpatterns = [
    path("bench/empty", EmptyView.as_view()),
    path("bench/naive", NaiveView.as_view()),
    path("bench/ready", ready),
    *project_urlpatterns,
]
