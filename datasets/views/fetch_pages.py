"""The page of fetches: their states, their outcomes, and the buttons that cancel them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from datasets.catalog import lists
from datasets.errors import Unavailable
from datasets.fetching import fetch_queue, fetch_quotas, interventions, throttle
from datasets.models import Dataset, Fetch
from datasets.serving.permissions import MAY_FETCH_AGAIN, Caller, Need, Scope, is_allowed
from datasets.views import phrases
from datasets.views.form_values import primary_key
from datasets.views.phrases import Outcome
from datasets.views.snippets import chart_address

_STATES = {
    "": "All",
    "active": "In progress",
    Fetch.State.SUCCEEDED.value: "Succeeded",
    Fetch.State.FAILED.value: "Failed",
    Fetch.State.CANCELLED.value: "Cancelled",
}
# Places in the queue are counted up to this number.
_MAX_PLACES = 10_000


class FetchesFilter(forms.Form):
    """The filters of the list of fetches; an empty filter selects all rows."""

    q = forms.CharField(required=False, max_length=100, label="Search")
    state = forms.ChoiceField(required=False, choices=list(_STATES.items()))

    def rows(self) -> QuerySet[Fetch]:
        """Return the fetches that match all filters; none when a filter has an invalid value."""
        rows = Fetch.objects.all()
        if not self.is_valid():
            return rows.none()
        state = self.cleaned_data["state"]
        if state:
            rows = rows.filter(state__in=Fetch.ACTIVE if state == "active" else [state])
        return lists.search(rows, self.cleaned_data["q"], ("symbol", "exchange"))


@require_http_methods(["GET", "HEAD", "POST"])
def fetches(request: HttpRequest) -> HttpResponse:
    """Show the list of fetches, newest first; a POST cancels the named fetch, or ends a cool-down."""
    # The same rule as in the API.
    may_cancel = Caller.of(request).may(Need(Scope.FETCH))
    if request.method == "POST":
        if "end_cool_down" in request.POST:
            return end_cool_down(request)
        if not may_cancel:
            raise PermissionDenied
        return _cancel(request)
    narrowed = FetchesFilter(request.GET)
    quota = fetch_quotas.quota_of(Caller.of(request).name)
    page = lists.page_of(
        narrowed.rows(),
        order=["-requested_at", "-pk"],
        number=lists.page_number(request.GET.get("page", "")),
    )
    queued = Fetch.objects.filter(state=Fetch.State.QUEUED).order_by(*fetch_queue.IN_TURN)
    places = {
        pk: place for place, pk in enumerate(queued.values_list("pk", flat=True)[:_MAX_PLACES])
    }
    # Links must not lead to a dataset that was deleted since.
    datasets = Dataset.objects.filter(pk__in={fetch.dataset_id for fetch in page.rows})
    there = set(datasets.values_list("pk", flat=True))
    context = {
        "filter": narrowed,
        "states": _STATES.items(),
        "state": request.GET.get("state", ""),
        "q": request.GET.get("q", ""),
        "page": page,
        "rows": [_row(fetch, places, there) for fetch in page.rows],
        "n_queued": len(places),
        "n_running": Fetch.objects.filter(state=Fetch.State.RUNNING).count(),
        "previous": lists.address(request, page=page.number - 1),
        "next": lists.address(request, page=page.number + 1),
        "may_cancel": may_cancel,
        "quota": phrases.quota_in_words(quota) if quota else "",
        "cool_down": _cool_down_in_words(),
        "may_end_cool_down": is_allowed(request.user, MAY_FETCH_AGAIN),
    }
    return render(request, "fetches.html", context)


def _row(fetch: Fetch, places: dict[int, int], there: set[int]) -> dict[str, Any]:
    return {
        "fetch": fetch,
        "full_symbol": fetch.key.full_symbol,
        "timeframe": fetch.key.timeframe.label,
        "bars": f"{fetch.n_bars:,}",
        "outcome": phrases.outcome_of(fetch, ahead=places.get(fetch.pk, len(places))),
        "chart": chart_address(fetch),
        "dataset": fetch.dataset_id if fetch.dataset_id in there else None,
        "priority": fetch.get_priority_display(),
        "priority_reason": fetch_queue.priority_reason(fetch),
        "is_queued": fetch.state == Fetch.State.QUEUED,
        "can_be_fetched_again": fetch.state in (Fetch.State.CANCELLED, Fetch.State.FAILED),
    }


def _cancel(request: HttpRequest) -> HttpResponse:
    found = Fetch.objects.filter(pk=primary_key(request.POST.get("cancel", ""))).first()
    if found is None:
        messages.error(request, "There is no such fetch.")
    elif interventions.cancel(found, by=Caller.of(request).name, via="page"):
        messages.success(request, f"The fetch of {found} is cancelled.")
    else:
        found.refresh_from_db()
        messages.warning(
            request,
            f"The fetch of {found} is {found.state} already; only a queued one can be cancelled.",
        )
    return HttpResponseRedirect(request.get_full_path())


def _cool_down_in_words() -> Outcome | None:
    """Return the reason and the rest of the cool-down; None when none runs, or the throttle cannot be read."""
    try:
        running = throttle.running_cool_down()
    except Unavailable:
        return None
    if running is None:
        return None
    return Outcome(
        running.text, f"All fetches pause for {phrases.span_in_words(running.left_s)} more."
    )


def end_cool_down(request: HttpRequest) -> HttpResponse:
    """End the cool-down for the person who pressed the button, and show the same page again."""
    if not is_allowed(request.user, MAY_FETCH_AGAIN):
        raise PermissionDenied
    interventions.end_cool_down(by=request.user.get_username(), via="page")
    messages.success(request, "The pause is over; the next fetch calls TradingView again.")
    return HttpResponseRedirect(request.get_full_path())
