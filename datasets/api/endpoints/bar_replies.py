"""Replies with bars, and the reply for a fetch that is still running."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.http import HttpResponse
from django.urls import reverse
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request
from rest_framework.response import Response

from datasets.api.replies import accepts_gzip, bars_reply, choose_format
from datasets.api.serializers import FetchSerializer
from datasets.models import Fetch
from datasets.serving import bodies
from datasets.serving.bars_request import Answer, BarsRequest


class OwnNegotiation(BaseContentNegotiation):
    """Turns off DRF's choice of a renderer: the view chooses the format itself.

    Errors are problem+json whatever `Accept` names.
    """

    def select_parser(self, request: Request, parsers: Any) -> Any:
        return parsers[0]

    def select_renderer(
        self, request: Request, renderers: Any, format_suffix: str | None = None
    ) -> Any:
        return renderers[0], renderers[0].media_type


def render_bars(request: Request, answer: Answer, wanted: BarsRequest) -> HttpResponse:
    """Return the reply with the answer's bars.

    Raises `StoreError` when the file has become unreadable since the answer was found.
    """
    is_gzip = accepts_gzip(request.headers.get("Accept-Encoding", ""))
    rendered = bodies.render(answer, wanted, accepts_gzip=is_gzip)
    path = answer.dataset.path
    return bars_reply(request._request, rendered, format=wanted.format, dataset_path=path)


def with_chosen_format(request: Request, wanted: BarsRequest) -> BarsRequest:
    """Return `wanted` with the format that its parameter or the `Accept` header names."""
    return replace(wanted, format=choose_format(wanted.format, request.headers.get("Accept", "")))


def accepted_reply(fetch: Fetch) -> Response:
    """Return 202 with the running fetch; `Location` is the fetch's own address."""
    response = Response(FetchSerializer(fetch).data, status=202)
    response["Location"] = reverse("api-fetch-detail", args=[fetch.pk])
    response["Retry-After"] = "1"
    return response
