"""How is one fetch made? Queue, lease, throttle, credentials, attempt; Celery's tasks."""

from datasets.fetching.attempt import run_fetch

__all__ = [
    "run_fetch",
]
