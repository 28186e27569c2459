"""Replies around a body: negotiation, caching headers, ranges."""

from __future__ import annotations

import os
import re
from pathlib import Path, PurePath
from typing import BinaryIO
from urllib.parse import quote

from django.conf import settings
from django.http import FileResponse, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase

from datasets.api.exceptions import problem
from datasets.errors import FileMissing, InvalidRequest
from datasets.formats import FORMATS
from datasets.serving.reply_bodies.body_cache import Rendered, is_fetched, without_mark

# Formats that `Accept` can choose. The others share the media type of `json` or `csv`, so only the
# parameter can choose them.
_BY_NAME_ONLY = ("columns", "spreadsheet", "spreadsheet_comma")
_OFFERED = [chosen for chosen in FORMATS.values() if chosen.name not in _BY_NAME_ONLY]
CACHE_HIT = "datasets; hit"
_YEAR_S = 365 * 24 * 3600
# At most 18 digits: longer numbers exceed any file and cost time to parse.
_RANGE = re.compile(r"bytes=([0-9]{0,18})-([0-9]{0,18})", re.IGNORECASE)


def choose_format(name: str, accept: str) -> str:
    """Return the format that the parameter names, else the one that `Accept` prefers.

    A browser's `text/html, …, */*` gets JSON. Raises `InvalidRequest` when `Accept` names
    no format of ours.
    """
    if name:
        return name
    ranges = _weighted(accept or "*/*")
    weight, _, _, best = max(
        ((*_liking(chosen.media_type, ranges), chosen.name) for chosen in _OFFERED),
        key=lambda liking: liking[:3],
    )
    if weight > 0:
        return best
    allowed = ", ".join(sorted({chosen.media_type for chosen in FORMATS.values()}))
    raise InvalidRequest({"format": [f"Accept names nothing that there is; use one of {allowed}."]})


def _liking(media_type: str, ranges: dict[str, float]) -> tuple[float, int, int]:
    """Return how much a client likes the type; of equal weights the exact name, then the first, wins.

    The narrowest range that holds the type decides: `application/json;q=0, */*` is anything but JSON.
    """
    names = list(ranges)
    for breadth, name in enumerate((media_type, f"{media_type.partition('/')[0]}/*", "*/*")):
        if name in ranges:
            return ranges[name], -breadth, -names.index(name)
    return 0.0, 0, 0


def accepts_gzip(accept_encoding: str) -> bool:
    """Return whether a client that sends this header accepts gzip; `*` covers unnamed encodings."""
    weights = _weighted(accept_encoding)
    return weights.get("gzip", weights.get("*", 0.0)) > 0


def _weighted(header: str) -> dict[str, float]:
    """Return the entries of an `Accept…` header with their weights."""
    entries = {}
    for part in header.split(","):
        name, *parameters = (text.strip().lower() for text in part.split(";"))
        weight = next((text[2:] for text in parameters if text.startswith("q=")), "1")
        entries[name] = float(weight) if re.fullmatch(r"[01](\.[0-9]{0,3})?", weight) else 0.0
    return entries


def reply(
    request: HttpRequest, rendered: Rendered, *, media_type: str, file_name: str = ""
) -> HttpResponse:
    """Return the body with its `ETag`, or 304 when the client has that tag."""
    known = _known_tag(request.META.get("HTTP_IF_NONE_MATCH", ""), rendered.etag)
    response = HttpResponse(b"" if known else rendered.body, status=304 if known else 200)
    if known:
        del response["Content-Type"]
    else:
        response["Content-Type"] = media_type
        if rendered.is_gzip:
            response["Content-Encoding"] = "gzip"
        if file_name:
            response["Content-Disposition"] = f'attachment; filename="{file_name}"'
    # Also in a 304, where it is the length that a 200 would have.
    response["Content-Length"] = str(len(rendered.body))
    response["ETag"] = known or rendered.etag
    # RFC 9211. Also in a 304.
    response["Cache-Status"] = "datasets; fwd=miss" if is_fetched(rendered.etag) else CACHE_HIT
    for name, value in rendered.headers:
        response[name] = value
    response["Vary"] = "Accept, Accept-Encoding"
    # Clients may keep the reply but must revalidate it: a dataset may be replaced at any moment.
    response["Cache-Control"] = "private, no-cache"
    return response


def bars_reply(
    request: HttpRequest, rendered: Rendered, *, format: str, dataset_path: str
) -> HttpResponse:
    """Return rendered bars. A format without an envelope is sent as a file with the dataset's name."""
    chosen = FORMATS[format]
    name = "" if chosen.has_envelope else f"{PurePath(dataset_path).stem}.{chosen.suffix}"
    return reply(request, rendered, media_type=chosen.media_type, file_name=name)


def content_reply(
    request: HttpRequest, rendered: Rendered, *, format: str, content_hash: str
) -> HttpResponse:
    """Return bars by their content: whole, the part that `Range` asks for (one range), or 304.

    The bars of a content hash never change, so clients and, with `API_ACCESS=open`, shared caches
    may keep the reply for a year without asking again.
    """
    response = bars_reply(
        request, rendered, format=format, dataset_path=f"bars_{content_hash[:16]}."
    )
    size = len(rendered.body)
    part = _part_wanted(request, size, rendered.etag) if response.status_code == 200 else None
    if part is not None:
        start, end = part
        if not start <= end < size:
            return _no_such_part(size)
        _cut_to_part(response, rendered.body[start : end + 1], start, size)
    audience = "public" if settings.API_ACCESS == "open" else "private"
    response["Cache-Control"] = f"{audience}, max-age={_YEAR_S}, immutable"
    response["Accept-Ranges"] = "bytes"
    let_proxy_keep(response, _YEAR_S)
    return response


def let_proxy_keep(response: HttpResponse, seconds: int) -> None:
    """Allow the operator's own nginx to keep the reply, where anybody may have it. nginx removes the header."""
    if seconds and settings.API_ACCESS == "open":
        response["X-Accel-Expires"] = str(seconds)


def _known_tag(header: str, etag: str) -> str:
    """Return the tag in `If-None-Match` that stands for the same bars as `etag`, or "".

    The mark of a fetch is ignored: the bars are the same.
    """
    if not header:
        return ""
    tags = [tag.strip().removeprefix("W/") for tag in header.split(",")]
    if "*" in tags:
        return etag
    return next((tag for tag in tags if without_mark(tag) == without_mark(etag)), "")


def file_reply(
    request: HttpRequest, path: Path, *, stored_as: str, content_hash: str, media_type: str
) -> HttpResponseBase:
    """Return the file, the part of it that `Range` asks for (one range), or 304.

    `stored_as` is the file's path in the store. With `X_ACCEL_PREFIX` the reply holds only that
    path, and nginx sends the file. Raises `FileMissing`.
    """
    file = _open(path)
    status = os.fstat(file.fileno())
    # From the opened file, which may be newer than the row.
    etag = f'"{content_hash[:32]}-{status.st_mtime_ns:x}"'
    if _known_tag(request.headers.get("If-None-Match", ""), etag):
        file.close()
        response: HttpResponseBase = HttpResponse(status=304)
        del response["Content-Type"]
        response["Content-Length"] = str(status.st_size)
        response["Accept-Ranges"] = "bytes"
    else:
        if settings.X_ACCEL_PREFIX:
            # nginx sends the file and answers ranges.
            file.close()
            address = quote(settings.X_ACCEL_PREFIX + stored_as)
            response = HttpResponse(headers={"X-Accel-Redirect": address})
        else:
            response = _whole_or_part(request, file, status.st_size, etag)
            response["Accept-Ranges"] = "bytes"
        if response.status_code != 416:
            response["Content-Type"] = media_type
            response["Content-Disposition"] = f'attachment; filename="{Path(stored_as).name}"'
    response["ETag"] = etag
    response["Cache-Control"] = "private, no-cache"
    return response


def _open(path: Path) -> BinaryIO:
    try:
        return path.open("rb")
    except FileNotFoundError as error:
        raise FileMissing(f"{path.name} is not there.") from error


def _whole_or_part(request: HttpRequest, file: BinaryIO, size: int, etag: str) -> HttpResponseBase:
    wanted = _part_wanted(request, size, etag)
    if wanted is None:
        return FileResponse(file)
    start, end = wanted
    with file:
        if not start <= end < size:
            return _no_such_part(size)
        file.seek(start)
        response = HttpResponse()
        _cut_to_part(response, file.read(end - start + 1), start, size)
    return response


def _part_wanted(request: HttpRequest, size: int, etag: str) -> tuple[int, int] | None:
    """Return the first and the last byte that `Range` asks for, None for the whole.

    A range without any byte of the body has a first byte above the last one.
    """
    # HEAD is about the whole file.
    is_wanted = request.method == "GET" and request.headers.get("If-Range", etag) == etag
    wanted = _RANGE.fullmatch(request.headers.get("Range", "")) if is_wanted else None
    if wanted is None or wanted.groups() == ("", ""):
        return None
    first, last = wanted.groups()
    if not first:
        return max(0, size - int(last)), size - 1
    return int(first), min(int(last), size - 1) if last else size - 1


def _no_such_part(size: int) -> HttpResponse:
    detail = f"The file has {size:,} bytes, and the range holds none of them."
    response = problem(416, code="invalid_request", title="No such part", detail=detail)
    response["Content-Range"] = f"bytes */{size}"
    return response


def _cut_to_part(response: HttpResponse, part: bytes, start: int, size: int) -> None:
    response.content = part
    response.status_code = 206
    response["Content-Range"] = f"bytes {start}-{start + len(part) - 1}/{size}"
    response["Content-Length"] = str(len(part))
