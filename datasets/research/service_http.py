"""Requests to a service, bounded in time and size; each failure is a named error."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson
import requests
from urllib3.exceptions import HTTPError

from datasets.errors import DatasetsError, FetchError, InvalidRequest, ServiceFailed, all_codes
from datasets.storage.bounded_http import (
    BodyTooLarge,
    BodyUnreadable,
    TimeLimit,
    limited_session,
    read_body,
)

# For connecting, and for each silence.
TIMEOUT_S = 30.0
# For the whole of one request. A large file takes its time on a slow line.
REQUEST_S = 600.0
# How long to go on with all that was asked for: a throttled feed gives some twenty a minute.
PATIENCE_S = 3600.0
# A page of the catalog is about 2 MB; a file of a million bars, the most there is, about 40.
MAX_JSON_BYTES = 16 * 1024 * 1024
MAX_FILE_BYTES = 256 * 1024 * 1024
_LONGEST_PAUSE_S = 60.0


class Answer:
    """A reply that has come whole."""

    def __init__(self, response: requests.Response, body: bytes) -> None:
        self.status = response.status_code
        self.reason = str(response.reason)
        self.headers: Mapping[str, str] = response.headers
        self.body = body


class Wire:
    """The way to one service.

    Parameters
    ----------
    url
        `http://host:8000`.
    token
        A token, or (user, password); None where the API is open.
    hint
        A sentence for whoever finds the service unreachable.
    """

    def __init__(
        self, url: str, token: str | tuple[str, str] | None, *, hint: Callable[[], str] = str
    ) -> None:
        self._hint = hint
        self.url = url.rstrip("/")
        if not self.url.startswith(("http://", "https://")):
            message = f"{url!r} is no address of a service, such as http://host:8000."
            raise InvalidRequest({"url": [message]})
        self._deadline = time.monotonic() + PATIENCE_S
        # All that has come, of all requests.
        self.n_bytes = 0
        self._limit = TimeLimit(REQUEST_S)
        self._session = limited_session(self._limit)
        if isinstance(token, tuple):
            self._session.auth = token
        elif token is not None:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def close(self) -> None:
        """Let the connection go."""
        self._session.close()
        self._limit.close()

    @property
    def is_late(self) -> bool:
        """Whether the time for all that was asked for is over."""
        return time.monotonic() > self._deadline

    def ask_json(self, method: str, address: str, part: str, **options: Any) -> dict[str, Any]:
        """Return a reply that has this part; any other server answers something else."""
        answer = self.ask(method, address, max_bytes=MAX_JSON_BYTES, **options)
        try:
            document: dict[str, Any] = orjson.loads(answer.body)
            document[part]
        except (KeyError, TypeError, ValueError) as error:
            raise self.misunderstood(f"something else than {part!r}") from error
        return document

    def misunderstood(self, what: str) -> ServiceFailed:
        """Return the error of an answer that a service of ours does not give."""
        return ServiceFailed(f"{self.url} answered {what}; is it the service?")

    def ask(self, method: str, address: str, *, max_bytes: int, **options: Any) -> Answer:
        """Return a reply that is a success; wait where the service says that we asked too often."""
        while True:
            answer = self._send(method, self.url + address, max_bytes, **options)
            if answer.status in (200, 202, 304):
                return answer
            if answer.status != 429 or self.is_late:
                raise _problem(answer, self.url)
            # We asked too often; the service says when it will listen again.
            after = answer.headers.get("Retry-After", "")
            is_number = after.isascii() and after.isdigit()
            self.pause(float(after) if is_number else 1.0)

    def pause(self, seconds: float) -> None:
        """Wait as long as the service says, at most a minute; raise when all the time is over."""
        if self.is_late:
            raise ServiceFailed(f"{self.url} was asked for {PATIENCE_S:g} s and has not given all.")
        time.sleep(min(max(seconds, 0.0), _LONGEST_PAUSE_S))

    def _send(self, method: str, url: str, max_bytes: int, **options: Any) -> Answer:
        if self.is_late:
            raise ServiceFailed(f"{self.url} was asked for {PATIENCE_S:g} s and has not given all.")
        try:
            with self._limit:
                response = self._session.request(
                    method, url, timeout=TIMEOUT_S, allow_redirects=False, stream=True, **options
                )
                with response:
                    answer = Answer(response, read_body(response, max_bytes=max_bytes))
        except BodyTooLarge:
            raise ServiceFailed(
                f"{self.url} sends more than {max_bytes // 2**20} MB for one request, and is not read further."
            ) from None
        except (requests.RequestException, HTTPError, BodyUnreadable) as error:
            raise self._failure(error) from error
        if self._limit.is_over:
            # What ended was cut off, and perhaps without a sign of it.
            raise self._too_slow()
        self.n_bytes += len(answer.body)
        return answer

    def _failure(self, error: Exception) -> ServiceFailed:
        if self._limit.is_over:
            return self._too_slow()
        if isinstance(error, BodyUnreadable):
            return self.misunderstood("with a body that cannot be unpacked")
        return ServiceFailed(
            f"The service at {self.url} cannot be reached ({type(error).__name__}). "
            f"`make run` starts one; url= names another.{self._hint()}"
        )

    def _too_slow(self) -> ServiceFailed:
        return ServiceFailed(f"{self.url} takes longer than {self._limit.seconds:g} s to answer.")


def _problem(answer: Answer, url: str) -> DatasetsError:
    """Return the error that a reply of problem+json describes."""
    try:
        document = orjson.loads(answer.body)
        code, detail = str(document["code"]), str(document["detail"])
        fields = document.get("errors") or {"request": [detail]}
    except (AttributeError, KeyError, TypeError, ValueError):
        return ServiceFailed(f"{url} answered {answer.status} {answer.reason}.")
    if code == "invalid_request":
        return InvalidRequest(_messages(fields) or {"request": [detail]})
    if code == "not_authenticated":
        return ServiceFailed(f"{url} asks who you are: {detail} Pass token=.")
    return error_of(code, detail)


def _messages(fields: Any) -> dict[str, Sequence[str]]:
    """Return what is said of each field, as far as it is said in the way of the service."""
    if not isinstance(fields, dict):
        return {}
    return {name: list(map(str, said)) for name, said in fields.items() if isinstance(said, list)}


def error_of(code: str, detail: str) -> DatasetsError:
    """Return the error with this code, when it is one of a fetch; else `ServiceFailed`."""
    kind = all_codes().get(code, ServiceFailed)
    return kind(detail) if issubclass(kind, FetchError) else ServiceFailed(detail)
