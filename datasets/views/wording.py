"""What a row of the catalog says to a person: its quality, its size, and what came of a fetch."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from django.utils import timezone

from datasets.bars.plausibility import DOUBTS
from datasets.models import Dataset, Fetch

SOURCES = {"tradingview": "TradingView", "sample": "Sample feed"}
STATES = {
    Dataset.State.READY: "It is served as it is.",
    Dataset.State.INVALIDATED: "Its file was set aside; it is fetched again when next asked for.",
    Dataset.State.SUPERSEDED: "A newer fetch of its series contradicts it, as after a split. It is pinned, so its file stays, but it answers no request.",
    Dataset.State.MISSING: "Somebody deleted the file; it is fetched again when next asked for.",
    Dataset.State.CORRUPT: "The file is damaged and not served; it is fetched again when next asked for.",
}
_OPERATOR = "That is for whoever runs this service."
_KEPT = "Bars that are kept already still open."
# What an error's own sentence leaves to say; `overlay.js` says the same.
_STEPS = {
    "no_data": "Try another timeframe, or another exchange that lists the same symbol.",
    "auth_failed": _OPERATOR,
    "auth_captcha": _OPERATOR,
    "auth_two_factor": _OPERATOR,
    "auth_expired": _OPERATOR,
    "rate_limited": _KEPT,
    "feed_unreachable": _KEPT,
    "feed_closed": _KEPT,
    "feed_protocol": "Whoever runs this service finds more in the worker's log.",
    "bad_bars": "Nothing was stored; the reply is kept for whoever runs this service.",
    "wrong_bars": "Nothing was stored; the reply is kept for whoever runs this service.",
    "bars_changed": "Nothing was stored; the reply is kept for whoever runs this service.",
    "store_failed": _OPERATOR,
    "worker_lost": "Whoever runs this service finds more in the worker's log.",
}

_FACTS = {"pricescale": "Price scale", "minmov": "Smallest move", "delay_s": "Delay, s"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a fetch stands, in a sentence, and what can be done about it."""

    sentence: str
    step: str = ""


def flaws_of(dataset: Dataset) -> list[str]:
    """Return what is not right with the bars, a few words each; empty for good ones."""
    flaws = [
        f"{number:,} {name}"
        for name, number in [
            ("duplicates dropped", dataset.n_duplicates),
            ("inconsistent", dataset.n_inconsistent),
        ]
        if number
    ]
    flaws += doubts_of(dataset)
    if dataset.last_bar_final is False:
        flaws.append("last bar forming")
    if dataset.is_limited and dataset.n_rows < dataset.n_bars:
        flaws.append(f"short of the {dataset.n_bars:,} asked")
    return flaws


def doubts_of(dataset: Dataset) -> list[str]:
    """Return what looks odd about the bars and may be right, a few words each."""
    return [
        f"{number:,} {DOUBTS.get(code, code)}" for code, number in sorted(dataset.doubts.items())
    ]


def facts_of(instrument: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what the feed says of the instrument, name and value, without what it does not say."""
    said = [(name, value) for name, value in instrument.items() if value not in ("", None)]
    return [
        (_FACTS.get(name, name.replace("_", " ").capitalize()), _fact(value))
        for name, value in said
    ]


def _fact(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def size_in_words(n_bytes: int) -> str:
    """Return a file's size, in the decimal units that the disk's maker uses."""
    if n_bytes < 1_000_000:
        return f"{n_bytes / 1000:,.1f} kB"
    return f"{n_bytes / 1_000_000:,.1f} MB"


def span_in_words(seconds: float) -> str:
    """Return a span of time in its largest fitting unit: `45 s`, `12 min`, `1.5 h`, `3 d`."""
    for unit, size in [("d", 86_400), ("h", 3600), ("min", 60)]:
        if seconds >= size:
            return f"{round(seconds / size, 1):,g} {unit}"
    return f"{seconds:.0f} s"


def age_in_words(moment: datetime) -> str:
    """Return how long ago it was, in whole units."""
    seconds = max(0, int((timezone.now() - moment).total_seconds()))
    if seconds < 60:
        return "just now"
    for unit, size in [("d", 86_400), ("h", 3600)]:
        if seconds >= size:
            return f"{seconds // size:,} {unit}"
    return f"{seconds // 60} min"


def outcome_of(fetch: Fetch, *, ahead: int = 0) -> Outcome:
    """Return how the fetch stands; `ahead` is the number of fetches queued before it."""
    if fetch.state == Fetch.State.SUCCEEDED:
        return Outcome(f"{fetch.n_rows:,} bars in {_took(fetch)}.")
    if fetch.state == Fetch.State.FAILED:
        return Outcome(fetch.error_message, _STEPS.get(fetch.error_code, ""))
    if fetch.state == Fetch.State.CANCELLED:
        return Outcome("Cancelled before it began.")
    if fetch.state == Fetch.State.RUNNING:
        return Outcome(_running(fetch))
    if fetch.error_code and fetch.next_attempt_at:
        return Outcome(fetch.error_message, f"Tried again in {_until(fetch.next_attempt_at)}.")
    if ahead:
        return Outcome(f"Number {ahead + 1:,} in the queue.")
    return Outcome("Next in line.")


def _running(fetch: Fetch) -> str:
    if fetch.allowed_at:
        return f"Waiting for its turn to call the feed: about {_until(fetch.allowed_at)}."
    if fetch.fetched_ms:
        return f"Storing {fetch.n_rows:,} bars."
    again = f", attempt {fetch.attempts}" if fetch.attempts > 1 else ""
    if fetch.n_rows:
        return f"Received {fetch.n_rows:,} of {fetch.n_bars:,} bars{again}."
    return f"Asking the feed{again}."


def _took(fetch: Fetch) -> str:
    milliseconds = fetch.fetched_ms + fetch.stored_ms
    took = f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"
    return (
        f"{took}, after waiting {fetch.waited_ms / 1000:.1f} s" if fetch.waited_ms >= 1000 else took
    )


def _until(moment: datetime) -> str:
    left = max(timedelta(), moment - timezone.now())
    return span_in_words(ceil(left.total_seconds()))
