"""What staff do to several datasets at once, written into the admin's log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied

from datasets import serving
from datasets.errors import DatasetsError
from datasets.models import Dataset
from datasets.permissions import MAY_FETCH_AGAIN, MAY_INVALIDATE, is_allowed

_PERMISSIONS = {"fetch": MAY_FETCH_AGAIN, "invalidate": MAY_INVALIDATE}


@dataclass(slots=True)
class Done:
    """What was done, in a sentence, and why not to the others."""

    sentence: str
    refusals: list[str] = field(default_factory=list)


def may(user: User | AnonymousUser, action: str) -> bool:
    """Return whether the user may do it: staff with the permission, as in the API and the admin."""
    return is_allowed(user, _PERMISSIONS[action])


def act(user: User | AnonymousUser, action: str, datasets: list[Dataset]) -> Done:
    """Do `fetch` or `invalidate` to each; one that refuses does not keep the others from it.

    Raises `PermissionDenied`.
    """
    if isinstance(user, AnonymousUser) or action not in _PERMISSIONS:
        raise PermissionDenied
    if not may(user, action):
        raise PermissionDenied
    name = user.get_username()

    def fetch(dataset: Dataset) -> None:
        serving.refresh(dataset, via="page", by=name)

    if action == "fetch":
        return do_each(user, datasets, fetch, log="Fetch again.", done="queued to be fetched again")
    return do_each(user, datasets, serving.invalidate, log="Invalidated.", done="invalidated")


def do_each(
    user: User,
    datasets: Iterable[Dataset],
    change: Callable[[Dataset], object],
    *,
    log: str,
    done: str,
) -> Done:
    """Do it to every dataset; one that refuses does not keep the others from it.

    `log` is what the admin's history says of each, `done` what was done to so many.
    """
    changed, refusals = [], []
    for dataset in datasets:
        try:
            change(dataset)
        except DatasetsError as error:
            refusals.append(f"{dataset}: {error}")
        else:
            changed.append(dataset)
    note(user, changed, log)
    number = len(changed)
    return Done(f"{number} {'dataset' if number == 1 else 'datasets'} {done}.", refusals)


def note(user: User, datasets: list[Dataset], text: str) -> None:
    """Write into the admin's history of each that it was done, and to how many at once."""
    if datasets:
        LogEntry.objects.log_actions(user.pk, datasets, CHANGE, f"{text} (one of {len(datasets)})")
