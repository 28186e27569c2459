"""Rendered reply bodies: made once for each content and representation, then cached."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from django.conf import settings

from datasets import formats
from datasets.bars import coverage
from datasets.formats import FORMATS
from datasets.serving import usage
from datasets.serving.bars_request import Answer, BarsRequest, ContentRequest
from datasets.serving.reply_bodies import content_paths, envelope, rendering, reply_bars
from datasets.serving.reply_bodies.body_cache import Rendered, rendered_cache
from datasets.serving.reply_bodies.body_files import RenderedFiles
from datasets.serving.reply_bodies.content_choice import find_content

_MB = 1024 * 1024
rendered = rendered_cache(settings.WEB_CACHE_MB * _MB)
_files_in = lru_cache(maxsize=2)(RenderedFiles)


def render(answer: Answer, request: BarsRequest, *, accepts_gzip: bool) -> Rendered:
    """Return the reply's body, from memory, from disk, or rendered now.

    Raises `StoreError` when the file has become unreadable since the dataset was chosen.
    """
    dataset = answer.dataset
    version = (
        dataset.pk,
        dataset.version,
        dataset.content_hash,
        answer.is_cached,
        answer.is_stale,
    )
    # A body is worth a file if it repeats: requests with `start` or `end` seldom do.
    is_whole = request.start is None and request.end is None
    found = _rendered(
        repr(version).encode() + _representation_of(request),
        dataset.content_hash if answer.is_cached and not answer.is_stale and is_whole else "",
        accepts_gzip and FORMATS[request.format].is_text,
        lambda: rendering.render_plain(answer, request),
    )
    if answer.is_cached:
        usage.count(dataset.pk)
    return found


def render_content(request: ContentRequest, *, accepts_gzip: bool) -> Rendered:
    """Return the body with the bars of a content hash, from memory, from disk, or rendered now.

    Raises `DatasetNotFound` when no ready dataset holds them, `StoreError` when the file has
    become unreadable since it was found.
    """
    dataset = find_content(request.content_hash)
    is_whole = request.start is None and request.end is None
    found = _rendered(
        repr(request).encode(),
        request.content_hash if is_whole else "",
        accepts_gzip and FORMATS[request.format].is_text,
        lambda: rendering.render_content(dataset, request),
    )
    usage.count(dataset.pk)
    return found


def _rendered(
    version: bytes, content_hash: str, wants_gzip: bool, render: Callable[[], Rendered]
) -> Rendered:
    """Return the body that `version` names; on disk it is kept under `content_hash`, unless that is empty."""
    key = hashlib.blake2b(_MADE_BY + version, digest_size=16).digest()
    held = rendered.find(key)
    if held is None or (wants_gzip and not held.is_gzip):
        name = f"{content_hash[:16]}-{key.hex()}" if content_hash else ""
        held = _rendered_elsewhere(held, name, wants_gzip, render)
        # Memory holds only the gzipped body once there is one; clients without gzip get it unpacked.
        rendered.keep(key, held)
    return held if wants_gzip else held.unpacked()


@lru_cache(maxsize=4096)
def _representation_of(request: BarsRequest) -> bytes:
    """Return a hash of 16 bytes of the parameters that change the body of a given dataset."""
    shown = replace(
        request, use_cache=True, max_age_s=None, max_stale_s=0, wait_s=0, redirect=False
    )
    return hashlib.blake2b(repr(shown).encode(), digest_size=16).digest()


# A hash of the rendering code, so that a new version ignores bodies of an older one.
_MADE_BY = hashlib.sha256(
    b"".join(
        Path(str(module.__file__)).read_bytes()
        for module in (formats, coverage, rendering, reply_bars, envelope, content_paths)
    )
    + settings.VERSION.encode()
).digest()


def _rendered_elsewhere(
    held: Rendered | None, name: str, wants_gzip: bool, render: Callable[[], Rendered]
) -> Rendered:
    """Return the body from the file `name`, or render it and write the file; no file for an empty name."""
    files = kept_files() if name else None
    found = files.find(name) if files is not None and held is None else held
    made = found or render()
    made = made.packed() if wants_gzip else made
    if files is not None and made is not found:
        files.keep(name, made)
    return made


def kept_files() -> RenderedFiles | None:
    """Return the cache of bodies on disk; None with `WEB_CACHE_DISK_MB=0`."""
    if not settings.WEB_CACHE_DISK_MB:
        return None
    return _files_in(settings.STATE_DIR / "rendered", settings.WEB_CACHE_DISK_MB * _MB)
