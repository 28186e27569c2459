"""Sessions of exchange_calendars, written in the feed's own form and read again."""

from __future__ import annotations

import pytest

from datasets.calendars.opinions import MARKETS
from tests.support.library_calendars import compare

QUICK = ("XHKG", "XNYS")


@pytest.mark.parametrize(
    "market",
    [
        *QUICK,
        *(
            pytest.param(market, marks=pytest.mark.slow)
            for market in sorted(set(MARKETS.values()) - set(QUICK))
        ),
    ],
)
def test_every_opening_and_close_is_the_librarys(market: str) -> None:
    comparison = compare(market)

    assert comparison.n_differing == 0, comparison.first_difference
    assert comparison.n_cells > 2_000
