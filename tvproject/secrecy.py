"""Removal of secrets from texts such as log lines and error reports."""

from __future__ import annotations

import html
import json
import logging
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from urllib.parse import quote, unquote, urlsplit

from django.conf import settings

from datasets import log_context
from tvproject.env import SETTINGS

STARS = "********************"
# Shorter secrets occur by chance in ordinary text.
_SHORTEST = 4
# Shorter paths, such as /hooks, are no credentials.
_SHORTEST_PATH = 12


def without_secrets(text: str, more: Iterable[str] = ()) -> str:
    """Return the text with stars for the settings' secrets and `more`, in all their spellings."""
    secrets = {secret for secret in (*_of_settings(), *more) if len(secret) >= _SHORTEST}
    spellings = {spelling for secret in secrets for spelling in _spellings(secret)}
    # Longest first: a secret may contain another one, whose stars would hide the rest.
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, STARS)
    return text


class LineFormatter(logging.Formatter):
    """Formats a line of the log, with its traceback, without the settings' secrets."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return without_secrets(super().format(record))


class JsonFormatter(logging.Formatter):
    """Formats a line of the log as one JSON object, without the settings' secrets.

    Keys: `time` (ISO 8601, UTC), `level`, `logger`, `message`, `error` (the traceback), and
    `request_id` and `fetch_id` where they are known.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the object in one line."""
        error = record.exc_text or (
            self.formatException(record.exc_info) if record.exc_info else ""
        )
        line: dict[str, str | int] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            # Before the text becomes JSON, which spells some characters of a secret differently.
            "message": without_secrets(record.getMessage()),
            **log_context.ids(),
        }
        if error:
            line["error"] = without_secrets(error)
        return json.dumps(line, ensure_ascii=False)


def _of_settings() -> Iterator[str]:
    yield settings.SECRET_KEY
    for name, value in settings.ENV.items():
        if SETTINGS[name].is_secret and value:
            # Only a part of an address is secret; its host helps the reader.
            yield from _secrets_of_address(value) if name.endswith("_URL") else (value,)


def _secrets_of_address(address: str) -> Iterator[str]:
    """Yield the password; of a webhook also path and query, which are its credentials."""
    parts = urlsplit(address)
    if parts.password:
        yield from (parts.password, unquote(parts.password))
    if parts.scheme in ("http", "https"):
        yield from (part for part in (parts.path, parts.query) if len(part) >= _SHORTEST_PATH)


def _spellings(secret: str) -> set[str]:
    written = (secret, repr(secret)[1:-1], quote(secret), quote(secret, safe=""))
    return {*written, *map(html.escape, written)}
