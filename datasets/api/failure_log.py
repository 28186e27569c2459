"""Log of failed requests: one line with subject and code in place of Django's "Internal Server Error"."""

from __future__ import annotations

import logging
from typing import Any, Protocol

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest


class WithMeta(Protocol):
    """A request of Django, or of a framework around it."""

    @property
    def META(self) -> dict[str, Any]: ...
    @property
    def path(self) -> str: ...


logger = logging.getLogger(__name__)

_NAMED = "datasets.named_failure"


def log_failure(request: WithMeta, *, subject: str, code: str, detail: str) -> None:
    """Log the failure that answers the request: what it is about, its code, and a sentence."""
    logger.warning("%s: %s: %s", subject or request.path, code, " ".join(detail.split()))
    # DRF's request and Django's share `META`.
    request.META[_NAMED] = True


def without_traceback_of_refusals(record: logging.LogRecord) -> bool:
    """Logging filter: a refusal for want of a permission is one line, because it is no fault of the program."""
    if record.exc_info and isinstance(record.exc_info[1], PermissionDenied):
        record.exc_info = record.exc_text = None
    return True


class NotNamedYet(logging.Filter):
    """Drops Django's log line about a reply that `log_failure` has logged."""

    def filter(self, record: logging.LogRecord) -> bool:
        request = getattr(record, "request", None)
        return not (isinstance(request, HttpRequest) and request.META.get(_NAMED))
