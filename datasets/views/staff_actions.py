"""Actions of staff on several datasets at once, on the pages and in the admin; the admin's log records each."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from django.contrib.admin.models import CHANGE, DELETION, LogEntry
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied
from django.db.models import Model

from datasets import catalog, serving
from datasets.errors import DatasetsError, StoreUnavailable
from datasets.models import AuditEntry, Dataset
from datasets.serving.permissions import (
    MAY_DELETE,
    MAY_FETCH_AGAIN,
    MAY_INVALIDATE,
    MAY_PIN,
    MAY_VERIFY,
    is_allowed,
)

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Result:
    """Result of an action on one row: the text for the log, and whether it names a problem."""

    text: str
    is_problem: bool = False


@dataclass(slots=True)
class Done:
    """Result of an action on several rows: one sentence, and a sentence for each problem."""

    sentence: str
    problems: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Action(Generic[Row]):
    """One action of staff on rows of the catalog.

    `label` is the text of its button, `hint` the tooltip. `permission` is the permission that the
    action needs, `done` the end of the sentence "3 datasets …". A page asks `question` before it
    does the action to several rows; an action with an empty question is done at once. With
    `asks_always` the page asks for a single row too. The admin offers every action, the pages
    only those with `is_on_pages`.
    """

    label: str
    hint: str
    permission: str
    done: str
    change: Callable[[Row, User, str], Result]
    question: str = ""
    asks_always: bool = False
    is_on_pages: bool = False
    flag: int = CHANGE

    def must_ask(self, n_rows: int) -> bool:
        """Return whether a page asks the question before it does the action to `n_rows` rows."""
        return bool(self.question) and (self.asks_always or n_rows > 1)


def fetch_again(dataset: Dataset, user: User, via: str) -> Result:
    """Queue a new fetch of the dataset."""
    fetch = serving.refresh(dataset, via=via, by=user.get_username())
    return Result(f"Fetch again: fetch {fetch.pk}.")


def look_again(dataset: Dataset, user: User, via: str) -> Result:
    """Queue a new fetch of a dataset with missing bars: bars that are empty again are confirmed."""
    if not (dataset.coverage or {}).get("missing"):
        return Result("Look again: no bar is missing.")
    fetch = serving.refresh(dataset, via=via, by=user.get_username())
    return Result(f"Look again: fetch {fetch.pk}.")


def invalidate(dataset: Dataset, user: User, via: str) -> Result:
    """Mark the dataset as invalidated."""
    serving.invalidate(dataset, by=user.get_username(), via=via)
    return Result("Invalidated.")


def delete(dataset: Dataset, user: User, via: str) -> Result:
    """Move the file to the trash and remove the row."""
    catalog.delete(dataset, by=user.get_username(), via=via)
    return Result(f"Deleted: {dataset.path} was moved to the trash.")


def verify(dataset: Dataset, user: User, via: str) -> Result:
    """Compare the file with the row."""
    finding = catalog.verify(dataset)
    text = f"{finding.outcome}. {finding.detail}".strip()
    AuditEntry.record(
        AuditEntry.Action.VERIFIED, dataset, by=user.get_username(), via=via, detail=finding.outcome
    )
    return Result(f"Verified: {text}", is_problem=finding.outcome != "ok")


def pin(dataset: Dataset, user: User, via: str) -> Result:
    """Keep the dataset from being pruned or replaced."""
    catalog.set_pinned(dataset, True, by=user.get_username(), via=via)
    return Result("Pinned.")


def unpin(dataset: Dataset, user: User, via: str) -> Result:
    """Allow the dataset to be pruned and replaced."""
    catalog.set_pinned(dataset, False, by=user.get_username(), via=via)
    return Result("Unpinned.")


# The only table of these actions: the pages and the admin read it.
ACTIONS: dict[str, Action[Dataset]] = {
    "fetch": Action(
        "Fetch again",
        "Queue a new fetch of the bars now",
        MAY_FETCH_AGAIN,
        "queued to be fetched again",
        fetch_again,
        is_on_pages=True,
    ),
    "look_again": Action(
        "Look again",
        "Queue a new fetch where bars are missing; what is empty again is confirmed",
        MAY_FETCH_AGAIN,
        "looked at: those with missing bars are fetched again",
        look_again,
    ),
    "invalidate": Action(
        "Invalidate",
        "Fetch the bars again at the next request",
        MAY_INVALIDATE,
        "invalidated, to be fetched again at the next request",
        invalidate,
        question="Invalidate the chosen datasets? The next request for each dataset fetches it again, with a call to TradingView.",
        is_on_pages=True,
    ),
    "delete": Action(
        "Delete",
        "Remove the dataset from the catalog and move its file to the trash",
        MAY_DELETE,
        "deleted; the files are in the trash until `manage.py tidy` empties it",
        delete,
        question="Delete the chosen datasets? Their rows are removed from the catalog, and their files are moved to the trash.",
        asks_always=True,
        is_on_pages=True,
        flag=DELETION,
    ),
    "verify": Action("Verify", "Compare the file with its hash", MAY_VERIFY, "verified", verify),
    "pin": Action("Pin", "Never prune or replace the dataset", MAY_PIN, "pinned", pin),
    "unpin": Action("Unpin", "Allow to prune and replace the dataset", MAY_PIN, "unpinned", unpin),
}


def allowed_actions(user: User | AnonymousUser) -> dict[str, Action[Dataset]]:
    """Return the actions on datasets that the user may do, by name."""
    return allowed(user, ACTIONS)


def find_action(user: User | AnonymousUser, name: str) -> tuple[Action[Dataset], User]:
    """Return the action on datasets of that name, and the user; errors as for `found`."""
    return found(user, name, ACTIONS)


def act(user: User | AnonymousUser, name: str, datasets: Iterable[Dataset], *, via: str) -> Done:
    """Do the action to each dataset, as `act_on` does it. Raises `PermissionDenied`."""
    action, actor = find_action(user, name)
    return act_on(actor, action, datasets, via=via, nouns=("dataset", "datasets"))


def allowed(user: User | AnonymousUser, actions: dict[str, Action[Row]]) -> dict[str, Action[Row]]:
    """Return those of the actions that the user may do, by name."""
    return {name: row for name, row in actions.items() if is_allowed(user, row.permission)}


def found(
    user: User | AnonymousUser, name: str, actions: dict[str, Action[Row]]
) -> tuple[Action[Row], User]:
    """Return the action of that name, and the user; raise `PermissionDenied` if the user may not do it."""
    action = allowed(user, actions).get(name)
    if action is None or isinstance(user, AnonymousUser):
        raise PermissionDenied
    return action, user


def act_on(
    actor: User, action: Action[Row], rows: Iterable[Row], *, via: str, nouns: tuple[str, str]
) -> Done:
    """Do the action to each row; a failure for one row does not stop the others.

    `via` is written into the rows of new fetches: `page` or `admin`. The admin's log records the
    result for each row. `nouns` name one row and several rows.
    """
    done: list[tuple[Row, Result]] = []
    problems = []
    for row in rows:
        try:
            result = action.change(row, actor, via)
        except StoreUnavailable as error:
            # Every other row would fail in the same way.
            problems.append(str(error))
            break
        except DatasetsError as error:
            problems.append(f"{row}: {error}")
        else:
            done.append((row, result))
            if result.is_problem:
                problems.append(f"{row}: {result.text}")
    note(actor, done, flag=action.flag)
    return Done(f"{len(done)} {nouns[len(done) != 1]} {action.done}.", problems)


def note(user: User, done: Iterable[tuple[Any, Result]], *, flag: int = CHANGE) -> None:
    """Write each result into the admin's history of its row."""
    for row, result in done:
        LogEntry.objects.log_actions(user.pk, [row], flag, result.text, single_object=True)
