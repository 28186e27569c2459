"""Changes of watchlists; each change also updates the schedules of the list's series.

`by` and `via` are for the audit: a user, token or address, and `api`, `page`, `admin` or `command`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Max

from datasets.errors import InvalidRequest, NotFound
from datasets.models import AuditEntry, WatchedSymbol, Watchlist
from datasets.watchlists.budget import require_fit
from datasets.watchlists.list_values import checked_values
from datasets.watchlists.series_plans import resume as resume_schedules
from datasets.watchlists.series_plans import schedules_of, update_schedules
from datasets.watchlists.symbol_texts import MOST_SYMBOLS, SymbolEntry

Action = AuditEntry.Action


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


def require_new_name(name: str) -> None:
    """Raise `InvalidRequest` when a list has this name, before slower checks are made."""
    if Watchlist.objects.filter(name=checked_values({"name": name})["name"]).exists():
        raise _name_is_taken(name)


def create_watchlist(
    name: str,
    *,
    timeframes: Sequence[str] = ("1D",),
    session: str = "regular",
    adjustment: str = "splits",
    first_bars: int | None = None,
    settle_s: int = 5,
    by: str = "",
    via: str = "command",
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
    by, via
        The user who makes the list, who is its owner then; empty for the operator's commands.

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
    watchlist = Watchlist(**checked_values(values), owner=by[:150])
    with transaction.atomic():
        _save(watchlist)
        _record(Action.CREATED, watchlist, by, via)
    return watchlist


def save_watchlist(
    name: str,
    entries: Sequence[SymbolEntry],
    *,
    problems: Mapping[SymbolEntry, str] | None = None,
    is_new: bool = False,
    by: str = "",
    via: str = "command",
    **values: Any,
) -> tuple[Watchlist, list[WatchedSymbol]]:
    """Make the list of this name or change its values, and add symbols: all of it or nothing.

    Returns the list and its new rows. `values` and errors as for `create_watchlist` and
    `add_symbols`; with `is_new` a list of this name is an error too.
    """
    with transaction.atomic():
        watchlist = None if is_new else Watchlist.objects.filter(name=name.strip()).first()
        if watchlist is None:
            watchlist = create_watchlist(name, by=by, via=via, **values)
        elif values:
            change_watchlist(watchlist, by=by, via=via, **values)
        return watchlist, add_symbols(watchlist, entries, problems=problems, by=by, via=via)


def change_watchlist(
    watchlist: Watchlist, *, by: str = "", via: str = "command", **changes: Any
) -> None:
    """Change values of a list: those of `create_watchlist`, and `is_paused`; errors as there."""
    values = checked_values(changes)
    other = {name: value for name, value in values.items() if getattr(watchlist, name) != value}
    for name, value in other.items():
        setattr(watchlist, name, value)
    pausing = {True: Action.PAUSED, False: Action.RESUMED}.get(other.pop("is_paused", None))
    with transaction.atomic():
        _save(watchlist)
        if pausing is not None:
            _record(pausing, watchlist, by, via)
        if other:
            detail = ", ".join(f"{name}: {value}" for name, value in other.items())
            _record(Action.CHANGED, watchlist, by, via, detail)
        update_schedules()
        if "timeframes" in other:
            require_fit(watchlist, "timeframes")
        elif pausing is Action.RESUMED:
            require_fit(watchlist, "is_paused")


def delete_watchlist(watchlist: Watchlist, *, by: str = "", via: str = "command") -> None:
    """Delete a list; series that are in no other list are not fetched any more, and their bars stay."""
    with transaction.atomic():
        _record(Action.DELETED, watchlist, by, via)
        watchlist.delete()
        update_schedules()


def pause(watchlist: Watchlist, *, by: str = "", via: str = "command") -> None:
    """Stop the fetches of the list's series, except those that another list has too."""
    change_watchlist(watchlist, by=by, via=via, is_paused=True)


def resume(watchlist: Watchlist, *, by: str = "", via: str = "command") -> None:
    """Fetch the list's series again, also those that were paused after failures."""
    with transaction.atomic():
        change_watchlist(watchlist, by=by, via=via, is_paused=False)
        resume_schedules(schedules_of(watchlist))


def add_symbols(
    watchlist: Watchlist,
    entries: Sequence[SymbolEntry],
    *,
    problems: Mapping[SymbolEntry, str] | None = None,
    by: str = "",
    via: str = "command",
) -> list[WatchedSymbol]:
    """Add symbols at the end of the list, and return the new rows; symbols that it has already stay.

    `problems` are sentences about symbols that could not be checked. Raises `InvalidRequest` when
    the list would have more than `MOST_SYMBOLS` symbols, or need more calls than are allowed;
    then none is added.
    """
    with transaction.atomic():
        # The lock makes two simultaneous changes of one list come one after the other.
        Watchlist.objects.select_for_update().get(pk=watchlist.pk)
        held = set(watchlist.symbols.values_list("exchange", "symbol"))
        new = []
        for each in entries:
            if (each.exchange, each.symbol) not in held:
                held.add((each.exchange, each.symbol))
                new.append(each)
        if len(held) > MOST_SYMBOLS:
            message = (
                f"The list would have {len(held)} symbols, and at most {MOST_SYMBOLS} are possible."
            )
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
        _record_symbols("added", new, watchlist, by, via)
        update_schedules()
        if rows:
            require_fit(watchlist, "symbols")
    return rows


def remove_symbols(
    watchlist: Watchlist, entries: Sequence[SymbolEntry], *, by: str = "", via: str = "command"
) -> int:
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
        _record_symbols("removed", entries, watchlist, by, via)
        n_removed = watchlist.symbols.filter(pk__in=chosen).delete()[0]
        update_schedules()
    return n_removed


def note_problem(exchange: str, symbol: str, problem: str) -> None:
    """Keep a sentence about a symbol in every list that has it; an empty one removes the sentence."""
    rows = WatchedSymbol.objects.filter(exchange=exchange, symbol=symbol)
    rows.exclude(problem=problem).update(problem=problem)


def _record(
    action: AuditEntry.Action, watchlist: Watchlist, by: str, via: str, detail: str = ""
) -> None:
    AuditEntry.record(action, watchlist, by=by, via=via, kind="watchlist", detail=detail)


def _record_symbols(
    verb: str, entries: Sequence[SymbolEntry], watchlist: Watchlist, by: str, via: str
) -> None:
    if entries:
        names = ", ".join(each.full_symbol for each in entries)
        _record(Action.CHANGED, watchlist, by, via, f"{len(entries)} symbols {verb}: {names}")


def _save(watchlist: Watchlist) -> None:
    """Write the row; raise `InvalidRequest` when another list has its name."""
    try:
        with transaction.atomic():
            watchlist.save()
    except IntegrityError as error:
        raise _name_is_taken(watchlist.name) from error


def _name_is_taken(name: str) -> InvalidRequest:
    message = f"Another watchlist has the name {name!r}; choose another name."
    return InvalidRequest({"name": [message]})
