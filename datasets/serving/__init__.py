"""One request for bars: selection, waiting, rendering, counting."""

from datasets.serving.answers import (
    find_answer,
    find_cached,
    invalidate,
    is_stale,
    join_or_start,
    refresh,
    refuse_pinned,
    request_fetch,
    require_enabled,
    wait_for,
)

__all__ = [
    "find_answer",
    "find_cached",
    "invalidate",
    "is_stale",
    "join_or_start",
    "refresh",
    "refuse_pinned",
    "request_fetch",
    "require_enabled",
    "wait_for",
]
