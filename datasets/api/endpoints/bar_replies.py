"""Replies with bars, and the reply for a fetch that is still running."""

from __future__ import annotations

import hashlib
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.request import Request

from datasets.api.parsers import FastJSONRenderer
from datasets.api.replies import bars_reply
from datasets.api.serializers import FetchSerializer
from datasets.archive.archive_bodies import ArchiveRequest, render_archive
from datasets.models import Dataset, Fetch, Series
from datasets.serving.bars_request import Answer, BarsRequest
from datasets.serving.freshness_headers import freshness_headers
from datasets.serving.reply_bodies import bodies
from datasets.serving.reply_bodies.body_cache import Rendered, with_mark
from datasets.storage.archives.archive_paths import relative_folder
from datasets.storage.paths import SUFFIX


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


def render_bars(
    request: HttpRequest, answer: Answer, wanted: BarsRequest, *, is_gzip: bool
) -> HttpResponse:
    """Return the reply with the answer's bars.

    Raises `StoreError` when the file has become unreadable since the answer was found.
    """
    rendered = bodies.render(answer, wanted, accepts_gzip=is_gzip)
    path = answer.dataset.path
    reply = bars_reply(request, rendered, format=wanted.format, dataset_path=path)
    return _with_freshness(reply, answer.dataset)


def render_archived(request: HttpRequest, series: Series, wanted: ArchiveRequest) -> HttpResponse:
    """Return the reply with bars of the series' archive; errors as for `render_archive`."""
    body, headers = render_archive(series, wanted)
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    if not wanted.is_cached:
        tag = with_mark(tag)
    rendered = Rendered(body, tag, is_gzip=False, headers=headers)
    path = relative_folder(series.series_key) + SUFFIX
    reply = bars_reply(request, rendered, format=wanted.format, dataset_path=path)
    return reply if wanted.as_of is not None else _with_freshness(reply, series)


def redirect_to_content(path: str, dataset: Dataset) -> HttpResponse:
    """Return 307 to the bars by their content. It may not be kept: the dataset may be replaced at any moment."""
    reply = HttpResponse(status=307, headers={"Location": path, "Cache-Control": "no-store"})
    del reply["Content-Type"]
    return _with_freshness(reply, dataset)


def _with_freshness(reply: HttpResponse, row: Dataset | Series) -> HttpResponse:
    for name, value in freshness_headers(row).items():
        reply[name] = value
    return reply


def accepted_reply(fetch: Fetch) -> HttpResponse:
    """Return 202 with the running fetch; `Location` is the fetch's own address."""
    body = FastJSONRenderer().render(FetchSerializer(fetch).data)
    headers = {"Location": reverse("api-fetch-detail", args=[fetch.pk]), "Retry-After": "1"}
    return HttpResponse(body, status=202, content_type="application/json", headers=headers)
