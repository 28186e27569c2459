"""The page behind an error's `type`: each code, its meaning, and whether to retry."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from datasets import errors
from datasets.api.exceptions import status_of

# Base classes, which are never raised themselves, and errors of commands, loader and assistants.
_NEVER_IN_A_REPLY = {
    *(
        "error",
        "refused",
        "fetch_failed",
        "store_unreadable",
        "backup_failed",
        "not_current",
        "too_large",
    ),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One error code."""

    code: str
    status: int
    meaning: str
    retryable: bool


# Errors of the framework, and unforeseen errors.
_OTHERS = [
    Entry("not_authenticated", 401, "Sign in, or the credentials are wrong or have expired.", False),
    Entry("internal_error", 500, "An error inside the service; the log holds its traceback.", False),
]  # fmt: skip


def entries() -> list[Entry]:
    """Return every code that a reply can hold, by status and name."""
    ours = [
        Entry(code, status_of(error), _meaning(error), error.retryable)
        for code, error in errors.all_codes().items()
        if code not in _NEVER_IN_A_REPLY
    ]
    return sorted([*ours, *_OTHERS], key=lambda entry: (entry.status, entry.code))


def _meaning(error: type[errors.DatasetsError]) -> str:
    return (error.__doc__ or "").partition("\n")[0].replace("`", "")


# The page contains no data, so it needs no sign-in.
@login_not_required
def error_reference(request: HttpRequest) -> HttpResponse:
    """Show all codes."""
    return render(request, "errors.html", {"entries": entries()})
