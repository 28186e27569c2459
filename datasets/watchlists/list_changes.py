"""Changes of watchlists; each change also updates the schedules of the list's series."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Max

from datasets.bars import Adjustment, Session, Timeframe
from datasets.errors import InvalidRequest, NotFound
from datasets.models import WatchedSymbol, Watchlist
from datasets.watchlists.series_plans import resume as resume_schedules
from datasets.watchlists.series_plans import schedules_of, update_schedules
from datasets.watchlists.symbol_texts import MOST_SYMBOLS, SymbolEntry

MOST_SETTLE_S = 3600
_MOST_NAME = 100


def find_watchlist(name: str) -> Watchlist:
    """Return the watchlist of this name; raise `NotFound`, which names the lists that exist."""
    found = Watchlist.objects.filter(name=name.strip()).first()
    if found is None:
        names = ", ".join(Watchlist.objects.values_list("name", flat=True)[:20])
        raise NotFound(
            f"There is no watchlist {name!r}. "
            + (f"The watchlists are: {names}." if names else "There is no watchlist yet.")
        )
    return found


def create_watchlist(
    name: str,
    *,
    timeframes: Sequence[str] = ("1D",),
    session: str = "regular",
    adjustment: str = "splits",
    first_bars: int | None = None,
    settle_s: int = 5,
    owner: str = "",
) -> Watchlist:
    """Return a new watchlist without symbols.

    Parameters
    ----------
    name
        1 to 100 printable characters; no other list has it.
    timeframes
        Lengths of bars, in any accepted spelling.
    session, adjustment
        As for a dataset.
    first_bars
        Bars back from the newest of the first fetch of each series; by default 5000 or
        `TV_MAX_BARS`, whichever is less.
    settle_s
        Seconds between the close of a bar, with the feed's delay, and its fetch.
    owner
        The user who makes the list; empty for the operator's commands.

    Raises
    ------
    InvalidRequest
        Names each wrong value.
    """
    values = {
        "name": name,
        "timeframes": timeframes,
        "session": session,
        "adjustment": adjustment,
        "first_bars": min(5000, settings.TV_MAX_BARS) if first_bars is None else first_bars,
        "settle_s": settle_s,
    }
    watchlist = Watchlist(**checked_values(values), owner=owner[:150])
    _save(watchlist)
    return watchlist


def change_watchlist(watchlist: Watchlist, **changes: Any) -> None:
    """Change values of a list: those of `create_watchlist`, and `is_paused`; errors as there."""
    for name, value in checked_values(changes).items():
        setattr(watchlist, name, value)
    with transaction.atomic():
        _save(watchlist)
        update_schedules()


def delete_watchlist(watchlist: Watchlist) -> None:
    """Delete a list; series that are in no other list are not fetched any more, and their bars stay."""
    with transaction.atomic():
        watchlist.delete()
        update_schedules()


def pause(watchlist: Watchlist) -> None:
    """Stop the fetches of the list's series, except those that another list has too."""
    change_watchlist(watchlist, is_paused=True)


def resume(watchlist: Watchlist) -> None:
    """Fetch the list's series again, also those that were paused after failures."""
    with transaction.atomic():
        change_watchlist(watchlist, is_paused=False)
        resume_schedules(schedules_of(watchlist))


def add_symbols(
    watchlist: Watchlist,
    entries: Sequence[SymbolEntry],
    *,
    problems: Mapping[SymbolEntry, str] | None = None,
) -> list[WatchedSymbol]:
    """Add symbols at the end of the list, and return the new rows; symbols that it has already stay.

    `problems` are sentences about symbols that could not be checked. Raises `InvalidRequest` when
    the list would have more than `MOST_SYMBOLS` symbols; then none is added.
    """
    with transaction.atomic():
        # The lock makes two simultaneous changes of one list come one after the other.
        Watchlist.objects.select_for_update().get(pk=watchlist.pk)
        held = set(watchlist.symbols.values_list("exchange", "symbol"))
        new = [each for each in entries if (each.exchange, each.symbol) not in held]
        if len(held) + len(new) > MOST_SYMBOLS:
            message = f"The list would have {len(held) + len(new)} symbols, and at most {MOST_SYMBOLS} are possible."
            raise InvalidRequest({"symbols": [message]})
        last = watchlist.symbols.aggregate(last=Max("position"))["last"]
        begin = 0 if last is None else last + 1
        rows = [
            WatchedSymbol(
                watchlist=watchlist,
                exchange=each.exchange,
                symbol=each.symbol,
                section=each.section,
                position=position,
                problem=(problems or {}).get(each, ""),
            )
            for position, each in enumerate(new, start=begin)
        ]
        WatchedSymbol.objects.bulk_create(rows)
        update_schedules()
    return rows


def remove_symbols(watchlist: Watchlist, entries: Sequence[SymbolEntry]) -> int:
    """Remove symbols, and return their number; raise `InvalidRequest` when one is not in the list."""
    with transaction.atomic():
        Watchlist.objects.select_for_update().get(pk=watchlist.pk)
        rows = {(each.exchange, each.symbol): each.pk for each in watchlist.symbols.all()}
        missing = [each for each in entries if (each.exchange, each.symbol) not in rows]
        if missing:
            raise InvalidRequest(
                {
                    "symbols": [
                        f"{each.full_symbol} is not in the list {watchlist.name!r}."
                        for each in missing
                    ]
                }
            )
        chosen = [rows[each.exchange, each.symbol] for each in entries]
        n_removed = watchlist.symbols.filter(pk__in=chosen).delete()[0]
        update_schedules()
    return n_removed


def note_problem(exchange: str, symbol: str, problem: str) -> None:
    """Keep a sentence about a symbol in every list that has it; an empty one removes the sentence."""
    rows = WatchedSymbol.objects.filter(exchange=exchange, symbol=symbol)
    rows.exclude(problem=problem).update(problem=problem)


def checked_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a list in their one spelling; raise `InvalidRequest`, which names each wrong one."""
    errors: dict[str, list[str]] = {}
    checked = dict(values)
    for name, value in values.items():
        try:
            checked[name] = _CHECKS[name](value)
        except InvalidRequest as error:
            errors[name] = [sentence for each in error.errors.values() for sentence in each]
    if errors:
        raise InvalidRequest(errors)
    return checked


def _save(watchlist: Watchlist) -> None:
    """Write the row; raise `InvalidRequest` when another list has its name."""
    try:
        with transaction.atomic():
            watchlist.save()
    except IntegrityError as error:
        message = f"Another watchlist has the name {watchlist.name!r}; choose another name."
        raise InvalidRequest({"name": [message]}) from error


def _check_name(name: object) -> str:
    text = " ".join(name.split()) if isinstance(name, str) else ""
    if not (1 <= len(text) <= _MOST_NAME and text.isprintable()):
        raise InvalidRequest({"name": [f"A name has 1 to {_MOST_NAME} printable characters."]})
    return text


def _check_timeframes(texts: object) -> list[str]:
    given = [texts] if isinstance(texts, str) else texts
    parts = [
        part for text in (given if isinstance(given, Collection) else ())
        for part in str(text).replace(",", " ").split()
    ]  # fmt: skip
    if not parts:
        allowed = ", ".join(Timeframe)
        raise InvalidRequest({"timeframes": [f"Name at least one of {allowed}."]})
    chosen = {Timeframe.parse(part) for part in parts}
    return [each.value for each in Timeframe if each in chosen]


def _check_choice(kind: type[Session] | type[Adjustment], value: object) -> str:
    if value not in list(kind):
        raise InvalidRequest({"": [f"{value!r} is not one of {', '.join(kind)}."]})
    return str(value)


def _check_number(value: object, lowest: int, highest: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise InvalidRequest({"": [f"{value!r} is no whole number from {lowest} to {highest}."]})
    return value


def _check_flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise InvalidRequest({"": [f"{value!r} is neither true nor false."]})
    return value


_CHECKS = {
    "name": _check_name,
    "timeframes": _check_timeframes,
    "session": lambda value: _check_choice(Session, value),
    "adjustment": lambda value: _check_choice(Adjustment, value),
    "first_bars": lambda value: _check_number(value, 1, settings.TV_MAX_BARS),
    "settle_s": lambda value: _check_number(value, 0, MOST_SETTLE_S),
    "is_paused": _check_flag,
}
