"""Phrases for the pages: choices of a key, states, quality, sizes, ages, and outcomes of fetches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Any

from datasets.bars import IMPORTED, Adjustment, Session
from datasets.bars.plausibility import DOUBTS
from datasets.calendars import MISSING
from datasets.fetching.fetch_quotas import Quota
from datasets.models import Dataset, DatasetGaps, Fetch, Revision, Series, database
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


def bars_in_words(n_rows: int) -> str:
    """Return a number of bars: `1 bar`, `41,200 bars`."""
    return "1 bar" if n_rows == 1 else f"{n_rows:,} bars"


def held_in_words(series: Series, max_bars: int) -> str:
    """Return how many bars the archive has, and how many TradingView would give."""
    held = f"You hold {bars_in_words(series.n_rows)} from {series.first_time:%Y-%m-%d}"
    if series.source == IMPORTED:
        return f"{held}, imported from files."
    if series.n_rows <= max_bars:
        return f"{held}; TradingView would give up to {max_bars:,}."
    return f"{held}; TradingView would give the newest {max_bars:,}."


def flaws_of_series(series: Series, n_open: int) -> list[str]:
    """Return the flaws of an archive, a few words each; an empty list for a good one."""
    flaws = []
    if n_open:
        flaws.append(f"{n_open:,} {'revision' if n_open == 1 else 'revisions'} to decide")
    if series.is_awaiting:
        flaws.append("older bars wait for a second fetch")
    if series.n_holes:
        flaws.append(f"{series.n_holes:,} {'hole' if series.n_holes == 1 else 'holes'}")
    return flaws


def revision_in_words(revision: Revision, *, with_names: bool) -> Outcome:
    """Return what changed in a sentence, and where the revision stands.

    Only staff may see the names of users: `with_names`.
    """
    bars = bars_in_words(revision.n_bars)
    are = "is" if revision.n_bars == 1 else "are"
    change = (
        f"by up to {revision.largest_change:.2g}"
        if revision.largest_change < 1e-4
        else f"by up to {revision.largest_change:.2%}"
    )
    match Revision.Finding(revision.finding):
        case Revision.Finding.VOLUME:
            sentence = f"The volume of {bars} changed; the prices stayed."
        case Revision.Finding.RATIO if revision.is_split:
            sentence = f"A split: the prices of {bars} were multiplied by {revision.factor:.6g}, and the volumes by {1 / revision.factor:.6g}."
        case Revision.Finding.RATIO:
            sentence = f"A dividend, or a split without volumes: the prices of {bars} were multiplied by {revision.factor:.6g}."
        case Revision.Finding.OFFSET:
            sentence = (
                f"A roll of a future: {revision.offset:+.6g} was added to the prices of {bars}."
            )
        case Revision.Finding.VANISHED:
            sentence = f"{bars} {are} gone from the feed."
        case Revision.Finding.FEED_CHANGED:
            sentence = "Another feed answered under this symbol, so a new generation began."
        case Revision.Finding.UNEXPLAINED:
            sentence = f"The prices of {bars} changed {change}, and neither a split nor a dividend explains it."
    return Outcome(sentence, _standing(revision, with_names=with_names))


def _standing(revision: Revision, *, with_names: bool) -> str:
    """Return where a revision stands: open, or decided by a fetch or a person."""
    if revision.state == Revision.State.OPEN:
        are = "It is" if revision.n_bars == 1 else "They are"
        return {
            Revision.Finding.UNEXPLAINED.value: "The older values are served until a second fetch brings the same change, or a person decides.",
            Revision.Finding.VANISHED.value: f"{are} out of the archive and kept beside it until a person decides.",
        }.get(
            revision.finding,
            "Older bars wait until a fetch at least an hour later confirms the change, or a person accepts it.",
        )
    is_accepted = revision.state == Revision.State.ACCEPTED
    if revision.decided_at is None:
        return "The newer values are in the archive." if is_accepted else "The older values stayed."
    when = f"on {revision.decided_at:%Y-%m-%d %H:%M} UTC"
    if revision.decided_by == "fetch":
        if is_accepted:
            return f"A later fetch confirmed the newer values {when}."
        return f"The older values stayed after a later fetch {when}."
    person = revision.decided_by if with_names else "A person"
    return f"{person} {'accepted the newer' if is_accepted else 'kept the older'} values {when}."


def generation_in_words(finding: str, factor: float) -> str:
    """Return why a generation began."""
    return {
        "": "It began with the first fetch.",
        Revision.Finding.RATIO.value: f"Prices were multiplied by {factor:.6g}, as after a split or a dividend.",
        Revision.Finding.OFFSET.value: "A constant was added to the prices, as when a future rolls.",
        Revision.Finding.FEED_CHANGED.value: "Another feed answered under this symbol.",
    }.get(finding, finding)


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
    seconds = max(0, int((database.shared_now() - moment).total_seconds()))
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


def quota_in_words(quota: Quota) -> str:
    """Return how many fetches a person has begun today, the limit, and when the day ends."""
    left = span_in_words((quota.ends_at - database.shared_now()).total_seconds())
    begun = f"You have begun {quota.n_begun:,} of {quota.limit:,} fetches today."
    return f"{begun} The count starts again at {quota.ends_at:%H:%M} UTC, in {left}."


def duration_in_words(fetch: Fetch) -> str:
    """Return how long a finished fetch took, and how long it waited before if that was a second or more."""
    milliseconds = fetch.fetched_ms + fetch.stored_ms
    took = f"{milliseconds} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.1f} s"
    if fetch.waited_ms < 1000:
        return took
    return f"{took}, after waiting {fetch.waited_ms / 1000:.1f} s"


def _until(moment: datetime) -> str:
    left = max(timedelta(), moment - database.shared_now())
    return span_in_words(ceil(left.total_seconds()))
