"""`manage.py watch add|remove|list|import|export|pause|resume`: the watchlists."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from datasets import watchlists
from datasets.bars import Adjustment, Session
from datasets.errors import DatasetsError, InvalidRequest
from datasets.fetching.schedule import check_symbols
from datasets.management.console import whole_number
from datasets.management.watchlist_printer import print_series, print_watchlists
from datasets.models import Watchlist

_ACTIONS = {
    "add": "add symbols to a watchlist; a new name makes a new list",
    "remove": "remove symbols from a watchlist, or the whole list with --list",
    "list": "list the watchlists, or the series of one",
    "import": "add the symbols of a text file; TradingView's export of a list is one",
    "export": "write a list as such a file",
    "pause": "stop the fetches of a list",
    "resume": "fetch a list again, also its series that were paused after failures",
}


class Command(BaseCommand):
    help = (
        "Watchlists: symbols that the workers keep up to date by themselves. "
        "A change is made whole or not at all."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        for name, sentence in _ACTIONS.items():
            action = actions.add_parser(name, help=sentence, description=sentence)
            if name == "list":
                action.add_argument("name", nargs="?", metavar="NAME")
                action.add_argument("--json", action="store_true", help="print JSON for scripts")
                continue
            action.add_argument("name", metavar="NAME")
            if name in ("add", "remove"):
                action.add_argument("symbols", nargs="*", metavar="EXCHANGE:SYMBOL")
            if name in ("import", "export"):
                action.add_argument(
                    "file", type=Path, nargs="?" if name == "export" else None, metavar="FILE"
                )
            if name == "remove":
                action.add_argument("--list", action="store_true", help="remove the whole list")
            if name in ("add", "import"):
                _add_value_arguments(action)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            getattr(self, f"{options['action']}_")(options)
        except DatasetsError as error:
            lines = error.errors.values() if isinstance(error, InvalidRequest) else [[str(error)]]
            raise CommandError("\n".join(line for some in lines for line in some)) from error

    def add_(self, options: dict[str, Any]) -> None:
        self._add(watchlists.read_symbols("\n".join(options["symbols"])), options)

    def import_(self, options: dict[str, Any]) -> None:
        try:
            content = options["file"].read_bytes()
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be read: {error.strerror}.") from error
        self._add(watchlists.read_file(content), options)

    def remove_(self, options: dict[str, Any]) -> None:
        watchlist = watchlists.find_watchlist(options["name"])
        if options["list"]:
            watchlists.delete_watchlist(watchlist)
            self.stdout.write(f"The list {watchlist.name!r} is removed; its bars stay.")
            return
        if not options["symbols"]:
            raise CommandError("Name the symbols to remove, or --list to remove the whole list.")
        entries = watchlists.read_symbols("\n".join(options["symbols"]))
        n_removed = watchlists.remove_symbols(watchlist, entries)
        symbols = "1 symbol is" if n_removed == 1 else f"{n_removed} symbols are"
        self.stdout.write(f"{symbols} removed from {watchlist.name!r}.")

    def list_(self, options: dict[str, Any]) -> None:
        if options["name"] is None:
            found = Watchlist.objects.prefetch_related("symbols")
            print_watchlists(found, self.stdout, as_json=options["json"])
        else:
            watchlist = watchlists.find_watchlist(options["name"])
            print_series(watchlist, self.stdout, as_json=options["json"])

    def export_(self, options: dict[str, Any]) -> None:
        watchlist = watchlists.find_watchlist(options["name"])
        text = watchlists.write_symbols(watchlist.symbols.all())
        if options["file"] is None:
            self.stdout.write(text, ending="")
            return
        try:
            options["file"].write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{options['file']} cannot be written: {error.strerror}.") from error

    def pause_(self, options: dict[str, Any]) -> None:
        watchlists.pause(watchlists.find_watchlist(options["name"]))
        self.stdout.write(f"The list {options['name']!r} is paused.")

    def resume_(self, options: dict[str, Any]) -> None:
        watchlists.resume(watchlists.find_watchlist(options["name"]))
        self.stdout.write(f"The list {options['name']!r} is fetched again.")

    def _add(self, entries: list[watchlists.SymbolEntry], options: dict[str, Any]) -> None:
        """Check the symbols, then make or change the list and add them."""
        names = ("timeframes", "session", "adjustment", "first_bars", "settle_s")
        values = {name: options[name] for name in names if options[name] is not None}
        problems = {} if options["unchecked"] else check_symbols(entries)
        watchlist, new = watchlists.save_watchlist(
            options["name"], entries, problems=problems, **values
        )
        symbols = "1 symbol" if len(new) == 1 else f"{len(new)} symbols"
        self.stdout.write(
            f"{watchlist.name}: {symbols} added, {watchlist.symbols.count()} in the list "
            f"at {', '.join(watchlist.timeframe_labels)}."
        )
        for row in new:
            if row.problem:
                self.stderr.write(f"{row}: {row.problem}")


def _add_value_arguments(action: ArgumentParser) -> None:
    """Add the options with a list's values; one that is not given leaves the value as it is."""
    action.add_argument(
        "-t", "--timeframes", metavar="T", help="lengths of bars, such as 1h,1D (a new list: 1D)"
    )
    action.add_argument("--session", choices=[choice.value for choice in Session])
    action.add_argument("--adjustment", choices=[choice.value for choice in Adjustment])
    action.add_argument(
        "-n", "--first-bars", type=whole_number, help="bars of a series' first fetch (5000)"
    )
    action.add_argument(
        "--settle-s", type=whole_number, help="seconds from a bar's close to its fetch (5)"
    )
    action.add_argument(
        "--unchecked", action="store_true", help="add symbols that the symbol search does not have"
    )
