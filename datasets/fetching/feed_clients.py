"""The clients of the feed: one for each thread, which keeps its connection."""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from datasets.tradingview.client import FeedClient


def feed_client() -> FeedClient:
    """Return the calling thread's client; it keeps its connection for the thread's next fetch."""
    return _client_of(
        settings.TV_WS_URL, settings.TV_TIMEOUT_S, settings.TV_DEADLINE_S, threading.get_ident()
    )


@cache
def _client_of(url: str, timeout_s: float, deadline_s: float, thread: int) -> FeedClient:
    # Imported here because tvDatafeed imports pandas: a web process, which never fetches,
    # starts half a second sooner without them.
    from datasets.tradingview.client import FeedClient

    return FeedClient(url, timeout_s=timeout_s, deadline_s=deadline_s)
