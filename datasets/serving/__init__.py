"""One request for bars: selection, waiting, rendering, counting; callers and their permissions."""

from datasets.serving.answers import find_answer
from datasets.serving.dataset_choice import find_cached, is_stale
from datasets.serving.fetch_requests import join_or_start, refuse_pinned, request_fetches
from datasets.serving.fetch_waits import wait_for
from datasets.serving.permissions import require_enabled
from datasets.serving.replacements import (
    invalidate,
    refetch_window,
    refresh,
    refresh_series,
    request_fetch,
)

__all__ = [
    "find_answer",
    "find_cached",
    "invalidate",
    "is_stale",
    "join_or_start",
    "refetch_window",
    "refresh",
    "refresh_series",
    "refuse_pinned",
    "request_fetch",
    "request_fetches",
    "require_enabled",
    "wait_for",
]
