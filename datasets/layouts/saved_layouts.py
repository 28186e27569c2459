"""Saved layouts: checks of their values, their limits, and the addresses that open them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.models import User
from django.db import IntegrityError, transaction
from django.urls import reverse

from datasets.errors import InvalidRequest
from datasets.models import SavedLayout, database

# Of one user.
MOST_LAYOUTS = 100
# Characters of the address that opens a layout. The service refuses a query above 8192 bytes.
MOST_CHARACTERS = 8000
# What a layout can keep equal in all charts: parameters of the grid's address, and columns of the table.
LINKS = ("same_symbol", "same_timeframe")
_NUMBERS = (1, 2, 4)
_MOST_NAME = 100


def save_layout(
    user: User,
    name: str,
    charts: Sequence[str],
    *,
    same_symbol: bool = False,
    same_timeframe: bool = False,
) -> SavedLayout:
    """Save charts of a user under a new name.

    Parameters
    ----------
    user
        The owner.
    name
        1 to 100 printable characters; no other layout of the user has it.
    charts
        For each of the 1, 2 or 4 charts the query of the chart page's address, such as
        `symbol=BTCUSDT&exchange=BINANCE&timeframe=1h`; empty for an empty chart.
    same_symbol
        Whether a symbol chosen in one chart is shown in all.
    same_timeframe
        The same of a timeframe.

    Raises
    ------
    InvalidRequest
        Names each wrong value; also when the user has `MOST_LAYOUTS` layouts.
    """
    values = _checked({"name": name, "charts": charts})
    links = {"same_symbol": same_symbol, "same_timeframe": same_timeframe}
    with transaction.atomic():
        # The lock makes simultaneous saves of one user come one after the other.
        User.objects.select_for_update().get(pk=user.pk)
        if SavedLayout.objects.filter(user=user).count() >= MOST_LAYOUTS:
            raise InvalidRequest(
                {"name": [f"A user has at most {MOST_LAYOUTS} layouts. Delete one, or replace one."]}
            )  # fmt: skip
        return _save(SavedLayout(user=user, **values, **links))


def change_layout(layout: SavedLayout, **changes: Any) -> None:
    """Rename a layout or replace its charts; values and errors as for `save_layout`."""
    for field, value in _checked(changes).items():
        setattr(layout, field, value)
    if "charts" in changes:
        layout.saved_at = database.shared_now()
    with transaction.atomic():
        _save(layout)


def page_address(layout: SavedLayout) -> str:
    """Return path and query of the page that shows the layout."""
    if len(layout.charts) == 1:
        return f"{reverse('chart')}?{layout.charts[0]}"
    links = [name for name in LINKS if getattr(layout, name)]
    return f"{reverse('grid')}?{_grid_query(layout.charts, links)}"


def _grid_query(charts: Sequence[str], links: Sequence[str]) -> str:
    """Return the query of the grid's page, as `static/js/grid/address.js` reads it."""
    values = {"charts": str(len(charts))}
    values |= {name: chart for name, chart in zip("abcd", charts, strict=False) if chart}
    return urlencode(values | dict.fromkeys(links, "1"), safe=":,=/")


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values in their one spelling; raise `InvalidRequest`, which names each wrong one."""
    checked, errors = dict(values), {}
    if "name" in values:
        checked["name"] = " ".join(str(values["name"]).split())
        if not (1 <= len(checked["name"]) <= _MOST_NAME and checked["name"].isprintable()):
            errors["name"] = [f"A name has 1 to {_MOST_NAME} printable characters."]
    if "charts" in values:
        checked["charts"] = [str(chart).removeprefix("?") for chart in values["charts"]]
        problem = _problem_of(checked["charts"])
        if problem:
            errors["charts"] = [problem]
    if errors:
        raise InvalidRequest(errors)
    return checked


def _problem_of(charts: list[str]) -> str:
    """Return what is wrong with the charts, in a sentence; empty if they are right."""
    if len(charts) not in _NUMBERS:
        return f"A layout has 1, 2 or 4 charts, and these are {len(charts)}."
    if not any(charts):
        return "No chart of this layout has a symbol yet. Draw one, then save."
    if not all(chart.isprintable() and not set(" #\\") & set(chart) for chart in charts):
        return "A chart is the query of the chart page's address, without spaces and without #."
    if len(_grid_query(charts, LINKS)) > MOST_CHARACTERS:
        return f"The address of these charts has more than {MOST_CHARACTERS} characters. Remove studies or charts."
    return ""


def _save(layout: SavedLayout) -> SavedLayout:
    try:
        with transaction.atomic():
            layout.save()
    except IntegrityError as error:
        raise InvalidRequest(
            {"name": [f"You have a layout {layout.name!r} already. Replace it, or choose another name."]}
        ) from error  # fmt: skip
    return layout
