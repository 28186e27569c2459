"""`GET /api/tv/ohlc`: bars from the cache or from a new fetch."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.viewsets import ViewSet

from datasets import serving
from datasets.api import schema
from datasets.api.access import READS, require, scope_of
from datasets.api.authentication import authenticate, sign_in_hint
from datasets.api.endpoints.bar_replies import (
    OwnNegotiation,
    accepted_reply,
    render_archived,
    render_bars,
)
from datasets.api.exceptions import problem_response
from datasets.api.filtering import StrictQueryMixin
from datasets.api.parameters import read_ohlc_request
from datasets.api.replies import accepts_gzip, choose_format
from datasets.archive.archive_bodies import ArchiveRequest
from datasets.errors import InvalidRequest, Refused, StoreError
from datasets.models import Fetch
from datasets.serving import answers, clients
from datasets.serving.bars_request import Answer, BarsRequest
from datasets.serving.permissions import Caller, Need
from datasets.serving.trust import distrust_all

# Characters. A browser sends about 150.
_LONGEST_ACCEPT = 1000


class OhlcViewSet(StrictQueryMixin, ViewSet):
    """`GET /api/tv/ohlc`.

    GET and HEAD are plain Django: the framework's own request, negotiation and rendering take
    longer than a cached read. The rules are those of all endpoints, and stand in their modules.
    """

    # Enough for cached bars. `list` also requires the scope `fetch` when it starts a fetch.
    required_scopes = READS
    content_negotiation_class = OwnNegotiation

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if request.method not in ("GET", "HEAD"):
            return super().dispatch(request, *args, **kwargs)
        try:
            return self.list(request)
        except Exception as error:
            if isinstance(error, AuthenticationFailed | NotAuthenticated):
                error.auth_header = sign_in_hint(request)  # type: ignore[union-attr]
            reply = problem_response(error, {"request": request})
            if reply is None:
                raise
            return reply

    @schema.ohlc_schema
    def list(self, request: HttpRequest) -> HttpResponse:
        """Return bars from the cache, or fetch them and wait."""
        request.user, token = authenticate(request) or (AnonymousUser(), None)
        caller = Caller.of(request, token)
        require(caller, Need(scope_of(self, "GET")))
        clients.reads.count(caller.client)
        serving.require_enabled()
        wanted, is_gzip = _read(
            request.META.get("QUERY_STRING", ""),
            request.META.get("HTTP_ACCEPT", ""),
            request.META.get("HTTP_ACCEPT_ENCODING", "")[:_LONGEST_ACCEPT],
            settings.TV_SOURCE,
            settings.TV_MAX_BARS,
        )
        return _reply(request, caller, wanted, is_gzip=is_gzip)


def _reply(
    request: HttpRequest, caller: Caller, wanted: BarsRequest, *, is_gzip: bool
) -> HttpResponse:
    via = "page" if request.headers.get("X-Requested-By") == "page" else "api"
    series = answers.find_series(wanted)
    if series is not None:
        return render_archived(request, series, _of_archive(wanted))
    if wanted.reads_archive:
        wanted = answers.for_fetch(wanted)
    try:
        answer = serving.find_answer(
            wanted, via=via, by=caller.name, before_fetch=caller.require_fetch
        )
    except Refused:
        series = answers.find_held(wanted)
        if series is None:
            raise
        return render_archived(request, series, _of_archive(wanted))
    if isinstance(answer, Fetch):
        return accepted_reply(answer)
    series = answers.find_series(wanted, answer)
    if series is not None:
        return render_archived(request, series, _of_archive(wanted, answer))
    try:
        return render_bars(request, answer, wanted, is_gzip=is_gzip)
    except StoreError:
        # The file became unreadable after the row was chosen. The row is marked now, so the
        # second try chooses another dataset or starts a fetch.
        distrust_all()
        return _reply(request, caller, wanted, is_gzip=is_gzip)


def _of_archive(wanted: BarsRequest, answer: Answer | None = None) -> ArchiveRequest:
    """Return the request as one to an archive; `answer` is the dataset that was found or fetched first."""
    n_bars = None if wanted.reads_range else wanted.n_archived or wanted.key.n_bars
    return ArchiveRequest(
        start=wanted.start,
        end=wanted.end,
        n_bars=n_bars,
        as_of=wanted.as_of,
        closed=wanted.closed,
        fields=wanted.fields,
        format=wanted.format,
        is_cached=answer is None or answer.is_cached,
        is_stale=answer is not None and answer.is_stale,
    )


@lru_cache(maxsize=4096)
def _read(
    query: str, accept: str, accept_encoding: str, source: str, max_bars: int
) -> tuple[BarsRequest, bool]:
    """Return the request, and whether its reply may be gzipped.

    `source` and `max_bars` are settings: they are parameters because the result depends on them.
    """
    wanted = read_ohlc_request(query)
    if len(accept) > _LONGEST_ACCEPT:
        raise InvalidRequest({"format": [f"Accept is longer than {_LONGEST_ACCEPT} characters."]})
    return replace(wanted, format=choose_format(wanted.format, accept)), accepts_gzip(
        accept_encoding
    )
