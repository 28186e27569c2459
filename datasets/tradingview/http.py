"""One HTTP request to TradingView: bounded in time and size, and without secrets in its errors."""

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

# Without a page of its own as origin, TradingView answers 403.
HEADERS = {"User-Agent": USER_AGENT, "Referer": f"{ORIGIN}/", "Origin": ORIGIN}
# Seconds for connecting and for each silence while reading; three times that for all.
TIMEOUT_S = 10.0
# A page is about 1 MB; what is longer is not read further.
_MAX_BYTES = 8 * 1024 * 1024


class Answer(NamedTuple):
    """What came; `location` is where a redirect points to, "" where there is none."""

    status: int
    body: bytes
    location: str


def request(method: str, url: str, *, purpose: str, **arguments: Any) -> Answer:
    """Return the answer to one request; follows no redirect.

    `purpose` completes the sentence of an error. Raises `FeedTimeout`, and `FeedUnreachable`
    also for a server that says that it is the one in trouble (5xx).
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
                answer = _read(response, host, purpose)
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
        # What ended was cut off, and perhaps without a sign of it.
        raise _endless(host)
    return answer


def _read(response: requests.Response, host: str, purpose: str) -> Answer:
    if response.status_code >= 500:
        raise FeedUnreachable(
            f"{host} cannot answer the {purpose} now (HTTP {response.status_code}). It can be tried again."
        )
    try:
        body = read_body(response, max_bytes=_MAX_BYTES)
    except BodyTooLarge:
        raise _endless(host) from None
    return Answer(response.status_code, body, response.headers.get("Location", ""))


def _endless(host: str) -> FeedTimeout:
    return FeedTimeout(f"{host} sends its answer without end. It can be tried again.")


def _masked(error: BaseException) -> BaseException:
    """Return the error without the request it carries: that holds the password."""
    return type(error)(type(error).__name__)
