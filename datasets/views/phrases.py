"""Phrases for the pages: choices of a key, states, quality, sizes, ages, and outcomes of fetches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from django.utils import timezone

from datasets.bars import IMPORTED, Adjustment, Session
from datasets.bars.plausibility import DOUBTS
from datasets.calendars import MISSING
from datasets.models import Dataset, DatasetGaps, Fetch
from datasets.views.advice import ADVICE, Advice

SOURCES = {
    "tradingview": "TradingView",
    "sample": "Sample feed (synthetic)",
    IMPORTED: "Imported from a file",
}
SESSIONS = {Session.REGULAR: "Regular hours", Session.EXTENDED: "Extended hours"}
ADJUSTMENTS = {
    Adjustment.SPLITS: "Splits",
    Adjustment.DIVIDENDS: "Splits and dividends",
    Adjustment.NONE: "Nothing",
}
_REFETCHED = "The next request for its bars fetches them again."
STATES = {
    Dataset.State.READY: "The service serves it as it is.",
    Dataset.State.INVALIDATED: f"Its file was set aside. {_REFETCHED}",
    Dataset.State.SUPERSEDED: "A newer fetch of its series contradicts it, as after a split. It is pinned, so its file stays, but it answers no request.",
    Dataset.State.MISSING: f"Its file was deleted. {_REFETCHED}",
    Dataset.State.CORRUPT: f"Its file is damaged and is not served. {_REFETCHED}",
}
# Lists of holidays fill a page; the API has them whole.
_LONGEST_FACT = 120
_FACTS = {"pricescale": "Price scale", "minmov": "Smallest move", "delay_s": "Delay, s"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The state of a fetch in a sentence, and the next step for the reader."""

    sentence: str
    step: str = ""


def flaws_of(dataset: Dataset) -> list[str]:
    """Return the flaws of the bars, a few words each; an empty list for good bars."""
    flaws = [
        f"{number:,} {name}"
        for name, number in [
            ("duplicates dropped", dataset.n_duplicates),
            ("inconsistent", dataset.n_inconsistent),
        ]
        if number
    ]
    flaws += doubts_of(dataset)
    flaws += missing_in_words(dataset)
    if dataset.is_limited and dataset.n_rows < dataset.n_bars:
        flaws.append(f"fewer than the {dataset.n_bars:,} requested")
    return flaws


def missing_in_words(dataset: Dataset) -> list[str]:
    """Return how many bars are missing, a few words; an empty list where none is known to be."""
    counts = (dataset.coverage or {}).get("counts", {})
    n_missing = sum(counts.get(kind, 0) for kind in MISSING)
    return [f"{n_missing:,} missing"] if n_missing else []


_SHOWN_FINDINGS = 12


def gaps_of(dataset: Dataset) -> dict[str, Any]:
    """Return the stored gap report for a page, the largest findings first; empty where there is none."""
    stored = DatasetGaps.objects.filter(dataset=dataset, looked_at=dataset.fetched_at).first()
    if stored is None:
        return {}
    report = dict(stored.report)
    largest = sorted(report["findings"], key=lambda finding: -finding["n_bars"])[:_SHOWN_FINDINGS]
    shown = [
        finding
        | {"kind": finding["kind"].replace("_", " ")}
        | {name: finding[name][:16].replace("T", " ") for name in ("start", "end")}
        for finding in largest
    ]
    share = report["share_held"]
    return report | {
        "findings": shown,
        "n_more": report["n_findings"] - len(shown),
        "share": "" if share is None else f"{share:.2%}",
    }


def doubts_of(dataset: Dataset) -> list[str]:
    """Return what looks odd in the bars but may be correct, a few words each."""
    return [
        f"{number:,} {DOUBTS.get(code, code)}" for code, number in sorted(dataset.doubts.items())
    ]


def facts_of(instrument: dict[str, Any]) -> list[tuple[str, str]]:
    """Return name and value of each fact that the feed gave about the instrument."""
    facts = []
    for name, value in instrument.items():
        if value in ("", None):
            continue
        text = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
        if len(text) > _LONGEST_FACT:
            text = f"{text[:_LONGEST_FACT]} … and {len(text) - _LONGEST_FACT:,} characters more"
        facts.append((_FACTS.get(name, name.replace("_", " ").capitalize()), text))
    return facts


def gap_in_words(dataset: Dataset) -> str:
    """Return the longest time between two neighbouring bars; `none` for a single bar."""
    return span_in_words(dataset.largest_gap_s) if dataset.largest_gap_s else "none"


def size_in_words(n_bytes: int) -> str:
    """Return a file's size in decimal units: 1 kB is 1000 bytes."""
    if n_bytes < 1_000_000:
        return f"{n_bytes / 1000:,.1f} kB"
    return f"{n_bytes / 1_000_000:,.1f} MB"


def span_in_words(seconds: float) -> str:
    """Return a span of time in the largest unit that fits: `45 s`, `12 min`, `1.5 h`, `3 d`."""
    for unit, size in [("d", 86_400), ("h", 3600), ("min", 60)]:
        if seconds >= size:
            return f"{round(seconds / size, 1):,g} {unit}"
    return f"{seconds:.0f} s"


def age_in_words(moment: datetime) -> str:
    """Return the time since the moment, in whole units; `just now` below a minute."""
    seconds = max(0, int((timezone.now() - moment).total_seconds()))
    if seconds < 60:
        return "just now"
    for unit, size in [("d", 86_400), ("h", 3600)]:
        if seconds >= size:
            return f"{seconds // size:,} {unit}"
    return f"{seconds // 60} min"


def outcome_of(fetch: Fetch, *, ahead: int = 0) -> Outcome:
    """Return the state of the fetch in words; `ahead` is the number of fetches queued before it."""
    if fetch.state == Fetch.State.SUCCEEDED:
        return Outcome(f"{fetch.n_rows:,} bars in {duration_in_words(fetch)}.")
    if fetch.state == Fetch.State.FAILED:
        return Outcome(fetch.error_message, ADVICE.get(fetch.error_code, Advice("")).step)
    if fetch.state == Fetch.State.CANCELLED:
        return Outcome("Cancelled before it began.")
    if fetch.state == Fetch.State.RUNNING:
        return Outcome(progress_in_words(fetch))
    if fetch.error_code and fetch.next_attempt_at:
        step = f"The next attempt begins in {_until(fetch.next_attempt_at)}."
        return Outcome(fetch.error_message, step)
    if ahead:
        return Outcome(f"Number {ahead + 1:,} in the queue.")
    return Outcome("Next in line.")


def progress_in_words(fetch: Fetch) -> str:
    """Return the step that a running fetch has reached, in a sentence."""
    if fetch.allowed_at:
        return f"Waiting for its turn to call the feed: about {_until(fetch.allowed_at)}."
    if fetch.fetched_ms:
        return f"Storing {fetch.n_rows:,} bars."
    again = f", attempt {fetch.attempts}" if fetch.attempts > 1 else ""
    if fetch.n_rows:
        return f"Received {fetch.n_rows:,} of {fetch.n_bars:,} bars{again}."
    return f"Asking the feed{again}."


def duration_in_words(fetch: Fetch) -> str:
    """Return how long a finished fetch took, and how long it waited before if that was a second or more."""
    milliseconds = fetch.fetched_ms + fetch.stored_ms
    took = f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"
    if fetch.waited_ms < 1000:
        return took
    return f"{took}, after waiting {fetch.waited_ms / 1000:.1f} s"


def _until(moment: datetime) -> str:
    left = max(timedelta(), moment - timezone.now())
    return span_in_words(ceil(left.total_seconds()))
