"""What staff do to several datasets at once, on the pages and in the admin, written into the admin's log."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied

from datasets import catalog, serving
from datasets.errors import DatasetsError, StoreUnavailable
from datasets.models import Dataset
from datasets.serving.permissions import (
    MAY_DELETE,
    MAY_FETCH_AGAIN,
    MAY_INVALIDATE,
    MAY_PIN,
    MAY_VERIFY,
    is_allowed,
)


@dataclass(frozen=True, slots=True)
class Result:
    """What an action did to one dataset: the text for the log, and whether it is bad news."""

    text: str
    is_problem: bool = False


@dataclass(slots=True)
class Done:
    """What was done, in a sentence, and the datasets to which something else happened."""

    sentence: str
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Action:
    """One thing that staff do to datasets.

    `permission` is the permission it needs, `done` the end of the sentence
    "3 datasets …". `question` is asked before it is done to several; an action without one
    is done at once. `asks_always` asks it for a single dataset too.
    """

    permission: str
    done: str
    change: Callable[[Dataset, User, str], Result]
    question: str = ""
    asks_always: bool = False
    flag: int = CHANGE

    def must_ask(self, n_datasets: int) -> bool:
        """Return whether the question is asked before the action is done to so many datasets."""
        return bool(self.question) and (self.asks_always or n_datasets > 1)


def _fetch(dataset: Dataset, user: User, via: str) -> Result:
    fetch = serving.refresh(dataset, via=via, by=user.get_username())
    return Result(f"Fetch again: fetch {fetch.pk}.")


def _invalidate(dataset: Dataset, user: User, via: str) -> Result:
    serving.invalidate(dataset)
    return Result("Invalidated.")


def _delete(dataset: Dataset, user: User, via: str) -> Result:
    catalog.delete(dataset)
    return Result(f"Deleted: {dataset.path} was moved to the trash.")


def _verify(dataset: Dataset, user: User, via: str) -> Result:
    finding = catalog.verify(dataset)
    text = f"{finding.outcome}. {finding.detail}".strip()
    return Result(f"Verified: {text}", is_problem=finding.outcome != "ok")


def _pin(dataset: Dataset, user: User, via: str) -> Result:
    Dataset.objects.filter(pk=dataset.pk).update(is_pinned=True)
    return Result("Pinned.")


def _unpin(dataset: Dataset, user: User, via: str) -> Result:
    Dataset.objects.filter(pk=dataset.pk).update(is_pinned=False)
    return Result("Unpinned.")


ACTIONS = {
    "fetch": Action(MAY_FETCH_AGAIN, "queued to be fetched again", _fetch),
    "invalidate": Action(
        MAY_INVALIDATE,
        "invalidated, to be fetched again when asked for",
        _invalidate,
        question="Invalidate these datasets? Each is fetched again when it is next asked for, which takes a call to TradingView.",
    ),
    "delete": Action(
        MAY_DELETE,
        "deleted; the files are in the trash until `manage.py tidy` empties it",
        _delete,
        question="Delete these datasets? Their rows are removed from the catalog, and their files are moved to the trash.",
        asks_always=True,
        flag=DELETION,
    ),
    "verify": Action(MAY_VERIFY, "verified", _verify),
    "pin": Action(MAY_PIN, "pinned", _pin),
    "unpin": Action(MAY_PIN, "unpinned", _unpin),
}


def find_action(user: User | AnonymousUser, name: str) -> tuple[Action, User]:
    """Return the action of that name and the user who may do it; raise `PermissionDenied` else."""
    action = ACTIONS.get(name)
    if action is None or isinstance(user, AnonymousUser) or not is_allowed(user, action.permission):
        raise PermissionDenied
    return action, user


def act(user: User | AnonymousUser, name: str, datasets: Iterable[Dataset], *, via: str) -> Done:
    """Do the action to each dataset; one that refuses does not keep the others from it.

    `via` is what a fetch's row names: `page` or `admin`. What was done to each dataset
    stands in the admin's log. Raises `PermissionDenied`.
    """
    action, actor = find_action(user, name)
    done: list[tuple[Dataset, Result]] = []
    problems = []
    for dataset in datasets:
        try:
            result = action.change(dataset, actor, via)
        except StoreUnavailable as error:
            # It would be said of every other dataset too.
            problems.append(str(error))
            break
        except DatasetsError as error:
            problems.append(f"{dataset}: {error}")
        else:
            done.append((dataset, result))
            if result.is_problem:
                problems.append(f"{dataset}: {result.text}")
    note(actor, done, flag=action.flag)
    noun = "dataset" if len(done) == 1 else "datasets"
    return Done(f"{len(done)} {noun} {action.done}.", problems)


def note(user: User, done: Iterable[tuple[Dataset, Result]], *, flag: int = CHANGE) -> None:
    """Write into the admin's history of each dataset what was done to it."""
    for dataset, result in done:
        LogEntry.objects.log_actions(user.pk, [dataset], flag, result.text, single_object=True)
