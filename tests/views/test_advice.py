"""The advice for error codes is complete."""

from __future__ import annotations

from datasets.errors import FetchError, all_codes
from datasets.views.advice import ADVICE


def test_every_error_that_can_end_a_fetch_has_a_heading_of_its_own() -> None:
    ends_fetches = {
        code
        for code, error in all_codes().items()
        if issubclass(error, FetchError) and not error.__subclasses__()
    }

    assert ends_fetches <= set(ADVICE)
