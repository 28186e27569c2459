"""Ids of the present request and fetch, which each line of a JSON log carries.

A request sets its id; the row of a fetch keeps the id of the request that opened it, and the
worker's attempt sets both.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_request: ContextVar[str] = ContextVar("request_id", default="")
_fetch: ContextVar[int | None] = ContextVar("fetch_id", default=None)
# An id goes into a header of the reply, a line of the log and a column of the catalog.
LONGEST_ID = 64
_SAFE = re.compile(rf"[A-Za-z0-9._:-]{{1,{LONGEST_ID}}}")


def safe_id(proposed: str) -> str:
    """Return the id that a client proposes, or a new one where it is empty or unsafe."""
    return proposed if proposed and _SAFE.fullmatch(proposed) else os.urandom(16).hex()


@contextmanager
def with_ids(request_id: str, fetch_id: int | None = None) -> Iterator[None]:
    """Set the ids for the lines that this thread logs in the block."""
    request, fetch = _request.set(request_id), _fetch.set(fetch_id)
    try:
        yield
    finally:
        _request.reset(request)
        _fetch.reset(fetch)


def begin_request(request_id: str) -> None:
    """Set the id of the request that this thread answers from now on; each request begins with its own."""
    _request.set(request_id)
    _fetch.set(None)


def note_fetch(fetch_id: int) -> None:
    """Set the id of the fetch that the present request started or joined."""
    _fetch.set(fetch_id)


def request_id() -> str:
    """Return the id of the present request; empty outside of one."""
    return _request.get()


def ids() -> dict[str, str | int]:
    """Return the ids that are set: `request_id` and `fetch_id`."""
    found: dict[str, str | int] = {}
    if _request.get():
        found["request_id"] = _request.get()
    fetch_id = _fetch.get()
    if fetch_id is not None:
        found["fetch_id"] = fetch_id
    return found
