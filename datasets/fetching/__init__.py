"""One fetch: queue, lease, throttle, credentials, attempt."""

from datasets.fetching.attempt import (
    run_fetch,
)

__all__ = [
    "run_fetch",
]
