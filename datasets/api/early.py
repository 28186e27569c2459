"""Early replies: cached reads answered before the framework starts.

A request that this module cannot answer exactly as the view would goes on to the view.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, wraps
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import APIException

from datasets.api.parameters import read_ohlc_request
from datasets.api.replies import accepts_gzip, bars_reply, choose_format
from datasets.errors import InvalidRequest, TooManyRequests
from datasets.formats import FORMATS
from datasets.handover import require_thread_that_may_wait
from datasets.serving import cached_reads, clients
from datasets.serving.bars_request import BarsRequest
from datasets.serving.permissions import Scope, strangers_may

View = Callable[..., HttpResponseBase]


def answered_early(view: View) -> View:
    """Wrap the view of `GET /api/tv/ohlc`."""

    @wraps(view)
    def respond(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        reply = _early_reply(request)
        if reply is not None:
            return reply
        require_thread_that_may_wait()
        return view(request, *args, **kwargs)

    return respond


def _early_reply(request: HttpRequest) -> HttpResponse | None:
    if request.method != "GET":
        return None
    client = _client_of(request)
    if client is None:
        return None
    meta = request.META
    asked = (
        meta.get("QUERY_STRING", ""),
        meta.get("HTTP_ACCEPT", ""),
        meta.get("HTTP_ACCEPT_ENCODING", ""),
    )
    if clients.reads.is_time_to_tell(client):
        require_thread_that_may_wait()
    try:
        wanted, is_gzip = _read(*asked, settings.TV_SOURCE, settings.TV_MAX_BARS)
        ready = cached_reads.find_ready(wanted, is_gzip=is_gzip)
        if ready is None:
            return None
        clients.reads.count(client)
    except (APIException, InvalidRequest, TooManyRequests):
        # The view raises the same error and turns it into a reply.
        return None
    return bars_reply(request, ready.rendered, format=wanted.format, dataset_path=ready.path)


def _client_of(request: HttpRequest) -> str | None:
    """Return the client under which this read is counted, when its sender surely may read.

    None when only the view can decide.
    """
    if settings.SESSION_COOKIE_NAME in request.COOKIES:
        return None
    header = request.META.get("HTTP_AUTHORIZATION")
    kind, _, secret = (header or "").partition(" ")
    if kind.lower() == "bearer":
        # Every scope includes reading.
        token = cached_reads.find_token(secret.strip())
        return None if token is None else clients.token_client(token)
    if header is not None or not strangers_may(Scope.READ):
        return None
    return clients.address_of(request)


@lru_cache(maxsize=4096)
def _read(
    query: str, accept: str, accept_encoding: str, source: str, max_bars: int
) -> tuple[BarsRequest, bool]:
    """Return the request and whether its reply is gzipped.

    `source` and `max_bars` are settings: they are parameters because the result depends on them.
    """
    wanted = read_ohlc_request(query)
    wanted = replace(wanted, format=choose_format(wanted.format, accept))
    return wanted, FORMATS[wanted.format].is_text and accepts_gzip(accept_encoding)
