"""The forms of the watchlists' pages: the values of a list, and symbols as text or as a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django import forms
from django.conf import settings

from datasets import watchlists
from datasets.bars import Timeframe
from datasets.errors import DatasetsError, InvalidRequest
from datasets.fetching.schedule import check_symbols, watch_symbols
from datasets.models import WatchedSymbol, Watchlist
from datasets.views import phrases
from datasets.watchlists.list_values import MOST_SETTLE_S
from datasets.watchlists.symbol_texts import MOST_BYTES

Result = TypeVar("Result")

_VALUES = ("name", "timeframes", "session", "adjustment", "first_bars", "settle_s")


class ChangeForm(forms.Form):
    """A form that makes a change, and shows the errors of a refused one at the fields that they name."""

    def apply(self, change: Callable[[dict[str, Any]], Result]) -> Result | None:
        """Return the result of `change`, which gets the form's values; None where the form has errors now."""
        if not self.is_valid():
            return None
        try:
            return change(self.cleaned_data)
        except InvalidRequest as error:
            for field, sentences in error.errors.items():
                self.add_error(field if field in self.fields else None, sentences)
        except DatasetsError as error:
            self.add_error(None, str(error))
        return None


class WatchlistForm(ChangeForm):
    """The values of a watchlist. The functions of `datasets.watchlists` check them."""

    name = forms.CharField(max_length=100)
    timeframes = forms.MultipleChoiceField(
        choices=[(each.value, each.label) for each in Timeframe],
        error_messages={"required": "Choose at least one timeframe."},
    )
    session = forms.ChoiceField(choices=list(phrases.SESSIONS.items()))
    adjustment = forms.ChoiceField(
        choices=list(phrases.ADJUSTMENTS.items()), label="Prices adjusted for"
    )
    first_bars = forms.IntegerField(min_value=1, label="Bars of the first fetch")
    settle_s = forms.IntegerField(
        min_value=0, max_value=MOST_SETTLE_S, label="Wait after a bar's close, s"
    )

    @classmethod
    def of(cls, watchlist: Watchlist) -> WatchlistForm:
        """Return the form with the values of a list."""
        return cls(initial={name: getattr(watchlist, name) for name in _VALUES})

    @classmethod
    def empty(cls) -> WatchlistForm:
        """Return the form of a new list."""
        first_bars = min(5000, settings.TV_MAX_BARS)
        usual = {"timeframes": ["1D"], "session": "regular", "adjustment": "splits"}
        return cls(initial={**usual, "first_bars": first_bars, "settle_s": 5})

    @property
    def timeframe_choices(self) -> list[tuple[str, str, bool]]:
        """Value, label, and whether it is chosen, of each timeframe."""
        chosen = self["timeframes"].value() or []
        return [(each.value, each.label, each.value in chosen) for each in Timeframe]


class SymbolsForm(ChangeForm):
    """Symbols to add: pasted text, or a file in the format in which TradingView exports a list."""

    symbols = forms.CharField(
        required=False,
        max_length=MOST_BYTES,
        widget=forms.Textarea(attrs={"rows": 5, "spellcheck": "false"}),
        label="Paste symbols",
    )
    file = forms.FileField(required=False, label="or choose a text file")

    def entries(self) -> list[watchlists.SymbolEntry]:
        """Return the symbols of the text and of the file, each once; raise `InvalidRequest` for a wrong line."""
        file: Any = self.cleaned_data["file"]
        found = watchlists.read_symbols(self.cleaned_data["symbols"])
        if file is not None:
            # The file of a person may be of any size; more than this is refused unread.
            found += watchlists.read_file(file.read(MOST_BYTES + 1))
        if not found:
            message = "Paste at least one symbol, such as NASDAQ:AAPL, or choose a file."
            raise InvalidRequest({"symbols": [message]})
        return list({(each.exchange, each.symbol): each for each in found}.values())


class OneSymbolForm(ChangeForm):
    """One symbol at one timeframe, and the list that it enters: one that exists, or a new one."""

    symbol = forms.CharField(max_length=200)
    timeframe = forms.CharField(max_length=8, required=False)
    watchlist = forms.ChoiceField(required=False, label="Watchlist")
    new_name = forms.CharField(required=False, max_length=100, label="Name of the new list")

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        names = [(each.name, each.name) for each in Watchlist.objects.all()]
        self.fields["watchlist"] = forms.ChoiceField(
            required=False, choices=[*names, ("", "A new list")], label="Watchlist"
        )

    def add(self, *, by: str, via: str) -> tuple[Watchlist, list[WatchedSymbol]]:
        """Add the symbol; return the list and its new rows. Errors as for `save_watchlist`."""
        values = self.cleaned_data
        entries = watchlists.read_symbols(values["symbol"])
        if values["watchlist"]:
            found = watchlists.find_watchlist(values["watchlist"])
            return found, watch_symbols(found, entries, by=by, via=via)
        return watchlists.save_watchlist(
            values["new_name"],
            entries,
            problems=check_symbols(entries),
            timeframes=[values["timeframe"] or "1D"],
            by=by,
            via=via,
        )
