"""HTTP requests to a service, bounded in time and size; each failure is a named error."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import requests
from urllib3.exceptions import HTTPError

from datasets.errors import (
    DatasetsError,
    FetchError,
    InvalidRequest,
    ServiceFailed,
    StoreError,
    all_codes,
)
from datasets.storage.bounded_http import (
    BodyTooLarge,
    BodyUnreadable,
    TimeLimit,
    limited_session,
    read_body,
)

# Longest time to connect, and longest silence within a reply.
TIMEOUT_S = 30.0
# Longest time of one request. A large file is slow on a slow line.
REQUEST_S = 600.0
# Longest time of all requests of one call: a throttled feed answers about twenty fetches a minute.
PATIENCE_S = 3600.0
# A page of the catalog is about 2 MB; a file of a million bars, the most there is, about 40.
MAX_JSON_BYTES = 16 * 1024 * 1024
MAX_FILE_BYTES = 256 * 1024 * 1024
_LONGEST_PAUSE_S = 60.0


class Reply:
    """A complete HTTP reply."""

    def __init__(self, response: requests.Response, body: bytes) -> None:
        self.status = response.status_code
        self.reason = str(response.reason)
        self.headers: Mapping[str, str] = response.headers
        self.body = body


class Connection:
    """Connection to one service, with a deadline for all its requests together.

    Parameters
    ----------
    url
        `http://host:8000`.
    token
        An API token, or (user, password); None where the API is open.
    copies
        Folder with the local copies of the service's files; the error of an unreachable service
        names this folder where it exists.
    request_s, patience_s
        Longest time of one request, and of all of them together, in seconds; by default
        `REQUEST_S` and `PATIENCE_S`.
    """

    def __init__(
        self,
        url: str,
        token: str | tuple[str, str] | None,
        *,
        copies: Path | None = None,
        request_s: float | None = None,
        patience_s: float | None = None,
    ) -> None:
        self._copies = copies
        self.url = url
        if not self.url.startswith(("http://", "https://")):
            message = f"{url!r} is no address of a service, such as http://host:8000."
            raise InvalidRequest({"url": [message]})
        self._patience_s = PATIENCE_S if patience_s is None else patience_s
        self._deadline = time.monotonic() + self._patience_s
        # Bytes of all replies together.
        self.n_bytes = 0
        self._limit = TimeLimit(REQUEST_S if request_s is None else request_s)
        self._session = limited_session(self._limit)
        if isinstance(token, tuple):
            self._session.auth = token
        elif token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        """Close the connection."""
        self._session.close()
        self._limit.close()

    @property
    def is_late(self) -> bool:
        """Whether the time for all requests is over."""
        return time.monotonic() > self._deadline

    def request_json(self, method: str, address: str, part: str, **options: Any) -> dict[str, Any]:
        """Return a JSON reply that has the field `part`; raise `ServiceFailed` for any other."""
        reply = self.request(method, address, max_bytes=MAX_JSON_BYTES, **options)
        try:
            document: dict[str, Any] = orjson.loads(reply.body)
            document[part]
        except (KeyError, TypeError, ValueError) as error:
            raise self.unexpected(f"something else than {part!r}") from error
        return document

    def unexpected(self, found: str) -> ServiceFailed:
        """Return the error of a reply that our service never gives."""
        return ServiceFailed(f"{self.url} answered {found}; is it the service?")

    def request(self, method: str, address: str, *, max_bytes: int, **options: Any) -> Reply:
        """Return a reply with status 200, 202 or 304; wait and repeat after status 429.

        Raises the error that the reply describes, or `ServiceFailed`.
        """
        while True:
            reply = self._send(method, self.url + address, max_bytes, **options)
            if reply.status in (200, 202, 304):
                return reply
            after = reply.headers.get("Retry-After", "")
            is_number = after.isascii() and after.isdigit()
            pause_s = min(float(after) if is_number else 1.0, _LONGEST_PAUSE_S)
            if reply.status != 429 or time.monotonic() + pause_s > self._deadline:
                raise _problem(reply, self.url)
            self.pause(pause_s)

    def pause(self, seconds: float) -> None:
        """Wait for the service's own pause, at most a minute; raise when the time is over."""
        self.require_time()
        time.sleep(min(max(seconds, 0.0), _LONGEST_PAUSE_S))

    def require_time(self) -> None:
        """Raise `ServiceFailed` when the time for all requests is over."""
        if self.is_late:
            raise ServiceFailed(
                f"{self.url} was asked for {self._patience_s:g} s and has not given all."
            )

    def _send(self, method: str, url: str, max_bytes: int, **options: Any) -> Reply:
        self.require_time()
        too_slow = f"{self.url} takes longer than {self._limit.seconds:g} s to answer."
        try:
            with self._limit:
                response = self._session.request(
                    method, url, timeout=TIMEOUT_S, allow_redirects=False, stream=True, **options
                )
                with response:
                    reply = Reply(response, read_body(response, max_bytes=max_bytes))
        except BodyTooLarge:
            raise ServiceFailed(
                f"{self.url} sends more than {max_bytes // 2**20} MB for one request; "
                "the rest is not read."
            ) from None
        except (requests.RequestException, HTTPError, BodyUnreadable) as error:
            if self._limit.is_over:
                raise ServiceFailed(too_slow) from error
            if isinstance(error, BodyUnreadable):
                raise self.unexpected("with a body that cannot be unpacked") from error
            hint = f" Its files as they were last copied: folder={str(self._copies)!r}."
            raise ServiceFailed(
                f"The service at {self.url} cannot be reached ({type(error).__name__}). "
                "`make run` starts one; url= names another."
                + (hint if self._copies is not None and self._copies.is_dir() else "")
            ) from error
        if self._limit.is_over:
            # The limit cut the reply off, perhaps without an error.
            raise ServiceFailed(too_slow)
        self.n_bytes += len(reply.body)
        return reply


def _problem(reply: Reply, url: str) -> DatasetsError:
    """Return the error that a problem+json reply describes."""
    try:
        document = orjson.loads(reply.body)
        code, detail = str(document["code"]), str(document["detail"])
        fields = document.get("errors")
    except (AttributeError, KeyError, TypeError, ValueError):
        return ServiceFailed(f"{url} answered {reply.status} {reply.reason}.")
    if code == "invalid_request":
        # Only messages in the form of our service: a list of texts for each field.
        messages = {
            name: list(map(str, texts))
            for name, texts in (fields.items() if isinstance(fields, dict) else ())
            if isinstance(texts, list)
        }
        return InvalidRequest(messages or {"request": [detail]})
    if code == "not_authenticated":
        detail = f"{url} requires an API token: {detail} Pass token=."
    return error_of(code, detail)


def error_of(code: str, detail: str) -> DatasetsError:
    """Return the error with this code where it is one of a fetch or of a file; else `ServiceFailed`."""
    kind = all_codes().get(code, ServiceFailed)
    if issubclass(kind, FetchError | StoreError):
        return kind(detail)
    failed = ServiceFailed(detail)
    failed.code, failed.retryable = code, kind.retryable
    return failed
