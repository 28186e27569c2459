"""Actions of staff on revisions, on the pages and in the admin; the admin's log records each."""

from __future__ import annotations

from collections.abc import Iterable

from django.contrib.auth.models import AnonymousUser, User

from datasets import serving
from datasets.archive import decisions
from datasets.models import Revision
from datasets.serving.permissions import MAY_DECIDE, MAY_FETCH_AGAIN
from datasets.views import staff_actions
from datasets.views.staff_actions import Action, Done, Result


def accept_new(revision: Revision, user: User, via: str) -> Result:
    """Take the newer values into the archive."""
    decisions.accept_new(revision, by=user.get_username(), via=via)
    return Result("Accepted the newer values.")


def keep_old(revision: Revision, user: User, via: str) -> Result:
    """Keep the older values in the archive."""
    decisions.keep_old(revision, by=user.get_username(), via=via)
    return Result("Kept the older values.")


def refetch(revision: Revision, user: User, via: str) -> Result:
    """Queue a fetch of the series' whole window."""
    fetch = serving.refetch_window(revision, via=via, by=user.get_username())
    return Result(f"Fetch the window again: fetch {fetch.pk}.")


# The only table of these actions: the pages and the admin read it.
ACTIONS: dict[str, Action[Revision]] = {
    "accept": Action(
        "Accept new",
        "Take the newer values into the archive; the older ones stay beside it",
        MAY_DECIDE,
        "accepted: the archive has the newer values",
        accept_new,
        question="Accept the newer values of these revisions? The older values stay beside the archive.",
        is_on_pages=True,
    ),
    "keep": Action(
        "Keep old",
        "Keep the older values in the archive; the same change is not reported again",
        MAY_DECIDE,
        "decided: the archive keeps the older values",
        keep_old,
        question="Keep the older values of these revisions? Later fetches with the same change do not report it again.",
        is_on_pages=True,
    ),
    "refetch": Action(
        "Fetch the window again",
        "Queue a fetch of all bars that TradingView gives, to compare them once more",
        MAY_FETCH_AGAIN,
        "queued to be fetched again",
        refetch,
        is_on_pages=True,
    ),
}


def allowed_actions(user: User | AnonymousUser) -> dict[str, Action[Revision]]:
    """Return the actions on revisions that the user may do, by name."""
    return staff_actions.allowed(user, ACTIONS)


def act(user: User | AnonymousUser, name: str, revisions: Iterable[Revision], *, via: str) -> Done:
    """Do the action to each revision; a failure for one does not stop the others.

    Raises `PermissionDenied`.
    """
    action, actor = staff_actions.found(user, name, ACTIONS)
    return staff_actions.act_on(actor, action, revisions, via=via, nouns=("revision", "revisions"))
