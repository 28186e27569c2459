"""`GET /api/tv/bars/{content_hash}`: bars by their content, so that a reply may be kept for a year."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict

from datasets.api import schema
from datasets.api.endpoints.plain_reads import PlainReadViewSet, accept_of
from datasets.api.parameters import ContentParameters
from datasets.api.replies import accepts_gzip, choose_format, content_reply
from datasets.errors import StoreError
from datasets.serving.bars_request import ContentRequest
from datasets.serving.reply_bodies import bodies
from datasets.serving.trust import distrust_all


class ContentViewSet(PlainReadViewSet):
    """`GET /api/tv/bars/{content_hash}`."""

    lookup_field = "content_hash"
    lookup_value_regex = "[0-9a-f]{64}"
    reads_query = frozenset({"retrieve"})

    @schema.content_schema
    def retrieve(self, request: HttpRequest, content_hash: str) -> HttpResponse:
        """Return the bars with this content hash; the reply never changes."""
        self.admit(request)
        accept, accept_encoding = accept_of(request)
        wanted = _read(content_hash, request.META.get("QUERY_STRING", ""), accept)
        # A range counts the bytes of the plain body.
        is_gzip = accepts_gzip(accept_encoding) and "HTTP_RANGE" not in request.META
        try:
            rendered = bodies.render_content(wanted, accepts_gzip=is_gzip)
        except StoreError:
            # The file became unreadable after it was found, and its row is marked now.
            distrust_all()
            rendered = bodies.render_content(wanted, accepts_gzip=is_gzip)
        return content_reply(
            request, rendered, format=wanted.format, content_hash=wanted.content_hash
        )


@lru_cache(maxsize=4096)
def _read(content_hash: str, query: str, accept: str) -> ContentRequest:
    parameters = ContentParameters(data=QueryDict(query))
    parameters.is_valid(raise_exception=True)
    part: dict[str, Any] = parameters.part()
    return ContentRequest(content_hash, **part | {"format": choose_format(part["format"], accept)})
