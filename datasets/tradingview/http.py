"""HTTP requests to TradingView, bounded in time and size; their errors contain no secrets."""

from __future__ import annotations

from contextlib import closing
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import HTTPError
from urllib3.exceptions import TimeoutError as ReadTimeout

from datasets.errors import FeedTimeout, FeedUnreachable
from datasets.storage.bounded_http import (
    BodyTooLarge,
    BodyUnreadable,
    TimeLimit,
    limited_session,
    read_body,
)
from datasets.tradingview.connection import ORIGIN, USER_AGENT

# TradingView answers 403 to a request whose origin is not its own site.
HEADERS = {"User-Agent": USER_AGENT, "Referer": f"{ORIGIN}/", "Origin": ORIGIN}
# Seconds to connect, and seconds of silence while reading. The whole request may take three times this.
TIMEOUT_S = 10.0
# A page is about 1 MB. Reading stops here.
_MAX_BYTES = 8 * 1024 * 1024


class Answer(NamedTuple):
    """An HTTP reply; `location` is the target of a redirect, or ""."""

    status: int
    body: bytes
    location: str


def request(method: str, url: str, *, purpose: str, **arguments: Any) -> Answer:
    """Send one request and return its reply; redirects are not followed.

    `purpose` completes the sentence of an error. Raises `FeedTimeout`, and `FeedUnreachable`
    for a failed connection or a server error (5xx).
    """
    host = urlsplit(url).netloc
    headers = HEADERS | arguments.pop("headers", {})
    limit = TimeLimit(3 * TIMEOUT_S)
    try:
        with closing(limit), limit, limited_session(limit) as session:
            response = session.request(
                method,
                url,
                headers=headers,
                timeout=TIMEOUT_S,
                stream=True,
                allow_redirects=False,
                **arguments,
            )
            with response:
                if response.status_code >= 500:
                    raise FeedUnreachable(
                        f"{host} cannot answer the {purpose} now (HTTP {response.status_code}). "
                        "It can be tried again."
                    )
                body = read_body(response, max_bytes=_MAX_BYTES)
                answer = Answer(response.status_code, body, response.headers.get("Location", ""))
    except BodyTooLarge:
        raise _endless(host) from None
    except (requests.RequestException, HTTPError, BodyUnreadable) as error:
        if limit.is_over or isinstance(error, requests.Timeout | ReadTimeout):
            raise FeedTimeout(
                f"{host} did not answer the {purpose} in time ({TIMEOUT_S:g} s for each part). It can be tried again."
            ) from _masked(error)
        raise FeedUnreachable(
            f"{host} cannot be reached for the {purpose}. Check the network and the TV_*_URL settings; "
            "it can be tried again."
        ) from _masked(error)
    if limit.is_over:
        # The time limit may have cut the body without an error.
        raise _endless(host)
    return answer


def _endless(host: str) -> FeedTimeout:
    return FeedTimeout(f"{host} sends its answer without end. It can be tried again.")


def _masked(error: BaseException) -> BaseException:
    """Return a copy of the error without its request, which contains the password."""
    return type(error)(type(error).__name__)
