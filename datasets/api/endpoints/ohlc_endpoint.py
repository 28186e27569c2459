"""`GET /api/tv/ohlc`: bars from the cache or from a new fetch."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from django.conf import settings
from django.http import HttpRequest, HttpResponse, QueryDict
from rest_framework import serializers

from datasets import serving
from datasets.api import schema
from datasets.api.endpoints.bar_replies import (
    accepted_reply,
    redirect_to_content,
    render_archived,
    render_bars,
)
from datasets.api.endpoints.plain_reads import PlainReadViewSet, accept_of
from datasets.api.parameters import OhlcParameters
from datasets.api.replies import CACHE_HIT, accepts_gzip, choose_format, let_proxy_keep
from datasets.archive.archive_bodies import ArchiveRequest
from datasets.bars import BarLength, DatasetKey
from datasets.errors import Refused, StoreError
from datasets.models import Fetch
from datasets.serving import answers
from datasets.serving.bars_request import Answer, BarsRequest, MadeBars
from datasets.serving.permissions import Caller
from datasets.serving.reply_bodies.content_paths import content_path_of
from datasets.serving.trust import distrust_all


class OhlcViewSet(PlainReadViewSet):
    """`GET /api/tv/ohlc`; `list` also requires the scope `fetch` when it starts a fetch."""

    @schema.ohlc_schema
    def list(self, request: HttpRequest) -> HttpResponse:
        """Return bars from the cache, or fetch them and wait."""
        caller = self.admit(request)
        wanted, is_gzip = _read(
            request.META.get("QUERY_STRING", ""),
            *accept_of(request),
            settings.TV_SOURCE,
            settings.TV_MAX_BARS,
        )
        reply = _reply(request, caller, wanted, is_gzip=is_gzip)
        if caller.is_stranger and reply.get("Cache-Status") == CACHE_HIT:
            let_proxy_keep(reply, settings.X_ACCEL_EXPIRES_S)
        return reply


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
        path = content_path_of(answer, wanted) if wanted.redirect else None
        if path is not None:
            return redirect_to_content(path, answer.dataset)
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
    wanted = _bars_request(query, source, max_bars)
    return replace(wanted, format=choose_format(wanted.format, accept)), accepts_gzip(
        accept_encoding
    )


@lru_cache(maxsize=4096)
def _bars_request(query: str, source: str, max_bars: int) -> BarsRequest:
    """Return the request of a query string. Raises `ValidationError` that names each wrong parameter.

    Cached, because clients repeat their queries.
    """
    parameters = OhlcParameters(data=QueryDict(query))
    parameters.is_valid(raise_exception=True)
    values = parameters.validated_data
    length, series = BarLength.parse(values["timeframe"]), parameters.series()
    made = n_archived = None
    source, is_imported = values.get("source", source), "source" in values
    is_above = "n_bars" in parameters.initial_data and values["n_bars"] > max_bars
    wrong = {}
    if is_imported and not values["use_cache"]:
        wrong["use_cache"] = ["Bars of files are not fetched; leave this parameter out, or source."]
    if is_imported and length.fetched is None:
        wrong["timeframe"] = ["Of bars of files no others are made; use a timeframe of the files."]
    elif is_above and length.fetched is None:
        wrong["n_bars"] = [f"Bars of other timeframes are at most {max_bars} (TV_MAX_BARS)."]
    if wrong:
        raise serializers.ValidationError(wrong)
    if is_above and not is_imported:
        n_archived, series = values["n_bars"], series | {"n_bars": max_bars}
    if length.fetched is None:
        made = MadeBars(length, values["n_bars"])
        n_base_bars = min(length.n_base_bars(made.n_bars), max_bars)
        series |= {"timeframe": length.base.value, "n_bars": n_base_bars}
    return BarsRequest(
        key=DatasetKey.parse(
            source=source, symbol=values["symbol"], exchange=values["exchange"], **series
        ),
        made=made,
        use_cache=values["use_cache"],
        max_age_s=values["max_age"],
        max_stale_s=values["max_stale"],
        wait_s=values["wait"],
        as_of=values["as_of"],
        has_no_number="n_bars" not in parameters.initial_data,
        n_archived=n_archived,
        redirect=values["redirect"],
        **parameters.part(),
    )
