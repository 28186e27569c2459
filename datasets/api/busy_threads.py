"""Bounds on the threads that slow clients, slow pages and a hung database can hold.

The web server has `WEB_THREADS` threads. Some are kept free for `/healthz`, also while the others
wait for a database that hangs; a few at most read bodies, which a client may send slowly.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.http.response import HttpResponseBase

from datasets.api.exceptions import of_error
from datasets.api.parsers import MAX_BYTES
from datasets.api.reply_pieces import MOST_AT_A_TIME as MOST_LARGE_REPLIES
from datasets.errors import Busy, InvalidRequest
from datasets.serving.places import Places

Respond = Callable[[HttpRequest], HttpResponseBase]

# Answered also when every place is taken. Its view reads nothing.
_ALWAYS_ANSWERED = "/healthz"
_LEFT_FREE = 2

# No patience: most bodies arrive with their request and are read within a millisecond.
bodies = Places(
    max(1, settings.WEB_THREADS // 4),
    "Too many clients are sending the bodies of their requests now; try again in a few seconds.",
    patience_s=0,
)
answers = Places(
    max(1, settings.WEB_THREADS - MOST_LARGE_REPLIES - _LEFT_FREE),
    "Too many requests are being answered now; try again in a few seconds.",
)


def read_body(respond: Respond) -> Respond:
    """Read the request's body first, in one of a few places; answer 503 `busy` without a place."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        length = request.META.get("CONTENT_LENGTH") or "0"
        if length == "0":
            return respond(request)
        if request.path.startswith("/api/") and length.isdecimal() and int(length) > MAX_BYTES:
            return of_error(
                InvalidRequest({"request": [f"The body is longer than {MAX_BYTES:,} bytes."]})
            )
        try:
            with bodies.place():
                _ = request.body
        except Busy as error:
            return of_error(error)
        except UnreadablePostError:
            # The client has gone; nobody reads the reply.
            return HttpResponse(status=400)
        return respond(request)

    return middleware


def leave_a_thread(respond: Respond) -> Respond:
    """Answer in one of the places; 503 `busy` without a place."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        if request.path == _ALWAYS_ANSWERED:
            return respond(request)
        try:
            answers.take()
        except Busy as error:
            return of_error(error)
        try:
            return respond(request)
        finally:
            answers.give_back()

    return middleware
