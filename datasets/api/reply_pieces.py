"""Large replies, sent in pieces and in a bounded number, so that slow readers hold few resources."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase, StreamingHttpResponse

from datasets.api.exceptions import of_error
from datasets.errors import Busy

Respond = Callable[[HttpRequest], HttpResponseBase]

# A reply of this size or more is sent in pieces.
LARGE_BYTES = 256 * 1024
_PIECE_BYTES = 64 * 1024
# A reader with a lower average rate since the start of its reply is cut off.
_SLOWEST_BYTES_PER_S = 16 * 1024

# Each large reply holds a thread while it is sent, and its unpacked body in memory.
MOST_AT_A_TIME = max(1, settings.WEB_THREADS // 4)
_places = threading.BoundedSemaphore(MOST_AT_A_TIME)


class Pieces:
    """The pieces of a large reply. It occupies one of `MOST_AT_A_TIME` places until `close`."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._began = time.monotonic()
        self._n_sent = 0
        self._has_place = True

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._is_too_slow():
            # The body ends before `Content-Length`, so the server closes the connection.
            raise StopIteration
        piece = next(self._pieces)
        self._n_sent += len(piece)
        return piece

    def close(self) -> None:
        """Give the place back."""
        if self._has_place:
            self._has_place = False
            _places.release()

    def _is_too_slow(self) -> bool:
        # The grace period is needed because the system buffers the first megabytes.
        over_s = time.monotonic() - self._began - settings.WEB_READER_TIMEOUT_S
        return over_s > 0 and self._n_sent < over_s * _SLOWEST_BYTES_PER_S


class ReplyInPieces(HttpResponse):
    """A reply whose body is sent as `Pieces`."""

    def __init__(self, reply: HttpResponse) -> None:
        super().__init__(reply.content, status=reply.status_code, headers=dict(reply.headers))
        self.cookies = reply.cookies
        self._in_pieces = Pieces(_cut(reply.content))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._in_pieces)

    def close(self) -> None:
        self._in_pieces.close()
        super().close()


def send_in_pieces(respond: Respond) -> Respond:
    """Send a large reply in pieces; answer 503 `busy` where too many are being sent already."""

    def middleware(request: HttpRequest) -> HttpResponseBase:
        reply = respond(request)
        if request.method == "HEAD" or not _is_large(reply):
            return reply
        if not _places.acquire(blocking=False):
            reply.close()
            return of_error(
                Busy("Too many large replies are being sent now; try again in a few seconds.")
            )
        if isinstance(reply, StreamingHttpResponse):
            content: Any = reply.streaming_content
            reply.streaming_content = Pieces(iter(content))
            return reply
        assert isinstance(reply, HttpResponse)
        return ReplyInPieces(reply)

    return middleware


def _is_large(reply: HttpResponseBase) -> bool:
    # A file is a stream whatever its size, so its `Content-Length` decides.
    if isinstance(reply, StreamingHttpResponse):
        return int(reply.headers.get("Content-Length") or LARGE_BYTES) >= LARGE_BYTES
    return isinstance(reply, HttpResponse) and len(reply.content) >= LARGE_BYTES


def _cut(body: bytes) -> Iterator[bytes]:
    for first in range(0, len(body), _PIECE_BYTES):
        yield body[first : first + _PIECE_BYTES]
