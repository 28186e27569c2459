"""The page of the service's state: parts that fail, workers, queue, throttle, live connection, disk, watchlists, retention."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.defaultfilters import filesizeformat
from django.views.decorators.http import require_http_methods

from datasets.errors import StoreFailed
from datasets.fetching import retention_policy
from datasets.live.live_status import ConnectionState, live_status
from datasets.models import Fetch, database
from datasets.serving import health, status
from datasets.serving.permissions import MAY_FETCH_AGAIN, is_allowed
from datasets.views import phrases
from datasets.views.fetch_pages import end_cool_down
from datasets.watchlists import count_schedules, lists_behind

Facts = list[tuple[str, str]]

# Series that are behind, of which the page names the lists.
_MOST_BEHIND = 50


@require_http_methods(["GET", "HEAD", "POST"])
def service_status(request: HttpRequest) -> HttpResponse:
    """Show the state of the service; a POST of staff ends a cool-down."""
    if request.method == "POST":
        return end_cool_down(request)
    now, state = database.shared_now(), status.describe()
    cool_down_s = state["cool_down_s"]
    is_staff = request.user.is_active and getattr(request.user, "is_staff", False)
    context = {
        "problems": list(dict.fromkeys([*health.missing().values(), *state["problems"]])),
        "cool_down": state["cool_down_reason"] if cool_down_s else "",
        "cool_down_left": phrases.span_in_words(cool_down_s) if cool_down_s else "",
        "may_end_cool_down": is_allowed(request.user, MAY_FETCH_AGAIN),
        "workers": [
            {**each, "age": phrases.span_in_words((now - each["seen_at"]).total_seconds())}
            for each in state["workers"]
        ],
        "queue": _queue(state),
        "throttle": _throttle(state),
        "live": _live(now),
        "disk": _disk(state),
        "watched": _watched(now),
        "lists_behind": lists_behind(now, at_most=_MOST_BEHIND),
        "retention": _retention() if is_staff else [],
        "failures": status.failures_by_code(),
        "at": now,
    }
    return render(request, "status.html", context)


def _queue(state: dict[str, Any]) -> Facts:
    queued = Fetch.objects.filter(state=Fetch.State.QUEUED).order_by("requested_at")
    oldest = queued.values_list("requested_at", flat=True).first()
    age = (database.shared_now() - oldest).total_seconds() if oldest else None
    return [
        ("Running", f"{state['running']:,}"),
        ("Queued", f"{state['queued']:,}"),
        ("Oldest queued", "none" if age is None else f"{phrases.span_in_words(age)} ago"),
    ]


def _throttle(state: dict[str, Any]) -> Facts:
    sign_in, left = state["sign_in"], state["tokens_left"]
    limit = settings.TV_RATE_PER_MINUTE
    shown = "unknown" if left is None else f"{left:,}"
    fetching = "on" if state["enabled"] else "off (TV_ENABLED=0)"
    return [
        ("Source", phrases.SOURCES.get(state["source"], state["source"])),
        ("Fetching", fetching),
        ("Limit", f"{limit:,} calls a minute" if limit else "none"),
        ("Calls allowed now", shown if limit else "no limit"),
        ("Sign-in", f"{sign_in['kind']}: {sign_in['state']}"),
    ]


def _live(now: datetime) -> Facts:
    """Return the state of the live connection."""
    live = live_status()
    if live.state is ConnectionState.OFF:
        return [("State", "off (TV_LIVE=0)" if settings.TV_ENABLED else "off (TV_ENABLED=0)")]
    facts = [("State", live.state.label)]
    if live.host is not None:
        facts.append(("Process", f"on {live.host}, for {_since(live.held_since, now)}"))
    if live.connected_at is not None:
        facts.append(("Connected", f"for {_since(live.connected_at, now)}"))
    facts += [
        ("Series", f"{live.n_followed} of {live.n_watched} watched, at most {live.n_most}"),
        ("Last update", f"{_since(live.heard_at, now)} ago" if live.heard_at else "none"),
        ("Connections opened", f"{live.n_opened:,}"),
    ]
    if live.failed_at is not None:
        facts.append(("Last failure", f"{_since(live.failed_at, now)} ago: {live.failure}"))
    return facts


def _since(instant: datetime | None, now: datetime) -> str:
    return phrases.span_in_words(max(0.0, (now - instant).total_seconds()) if instant else 0.0)


def _watched(now: datetime) -> Facts:
    """Return the numbers of watched series by state; empty without watchlists."""
    counts = count_schedules(now)
    facts = [(state.label.capitalize(), f"{n:,}") for state, n in counts.numbers.items() if n]
    if counts.oldest_due_at is not None:
        facts.append(("Longest delay", phrases.span_in_words(counts.overdue_s(now))))
    return facts


def _disk(state: dict[str, Any]) -> Facts:
    is_sqlite = str(settings.DATABASES["default"]["ENGINE"]).endswith("sqlite3")
    free = state["free_bytes"]
    return [
        ("Database", "SQLite" if is_sqlite else "PostgreSQL"),
        ("Datasets", f"{state['datasets']:,}, {filesizeformat(state['datasets_bytes'])}"),
        (
            "Free for bars",
            "no limit: they are in a bucket" if free is None else filesizeformat(free),
        ),
        ("Version", state["version"]),
    ]


def _retention() -> Facts:
    """Return the rules of the retention policy, and what they would delete now."""
    rules = {
        "History": (settings.TIDY_AFTER_DAYS, "older than {} days"),
        "Unused datasets": (settings.PRUNE_UNUSED_AFTER_DAYS, "not read for {} days"),
        "All datasets": (settings.PRUNE_OVER_MB, "at most {} MB"),
    }
    facts = [
        (name, words.format(f"{value:,}") if value else "stays")
        for name, (value, words) in rules.items()
    ]
    if not retention_policy.is_on():
        return facts
    try:
        facts.append(("The next run deletes", _removal_in_words(retention_policy.plan_for_page())))
    except StoreFailed as error:
        facts.append(("The next run deletes", f"unknown: {error}"))
    return facts


def _removal_in_words(found: retention_policy.Removal) -> str:
    most = retention_policy.MOST_DATASETS
    return (
        f"{found}; more datasets than these are not counted"
        if found.datasets >= most
        else str(found)
    )
