"""Drawings of users in the catalog: they are read and replaced as one list for each symbol."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import User
from django.db import transaction

from datasets.bars import DatasetKey
from datasets.drawings.drawing_checks import check_drawings
from datasets.errors import ChangedMeanwhile, InvalidRequest
from datasets.models import SymbolDrawings, database

# With drawings of one user.
MOST_SYMBOLS = 200


def drawings_of(user: User, symbol: str) -> SymbolDrawings | None:
    """Return the user's drawings over the symbol (in any spelling); None if there are none.

    Raises `InvalidRequest` for a text that is no symbol.
    """
    return SymbolDrawings.objects.filter(user=user, symbol=full_symbol(symbol)).first()


def replace_drawings(
    user: User, symbol: str, drawings: Any, *, known: str | None
) -> SymbolDrawings | None:
    """Replace the user's drawings over a symbol.

    Parameters
    ----------
    user
        Their owner.
    symbol
        `EXCHANGE:SYMBOL`, or an expression, in any spelling.
    drawings
        The whole new list, as `check_drawings` describes it; an empty list removes all.
    known
        The tag of the version that the caller has read; None if there were no drawings.

    Returns
    -------
    SymbolDrawings or None
        The new version; None after all were removed.

    Raises
    ------
    InvalidRequest
        Names each wrong field; also when the user has drawings over `MOST_SYMBOLS` symbols.
    ChangedMeanwhile
        The present version is not `known`. Nothing is changed.
    """
    symbol, checked = full_symbol(symbol), check_drawings(drawings)
    with transaction.atomic():
        # The lock makes simultaneous changes of one user come one after the other.
        User.objects.select_for_update().get(pk=user.pk)
        kept = SymbolDrawings.objects.filter(user=user, symbol=symbol).first()
        if (kept.tag if kept else None) != known:
            raise ChangedMeanwhile(
                f"The drawings of {symbol} have changed since they were read. "
                "Read them again, add your changes to them, and send them with the new ETag."
            )
        if not checked:
            if kept:
                kept.delete()
            return None
        kept = kept or _new(user, symbol)
        kept.drawings, kept.updated_at = checked, database.shared_now()
        kept.version += 1
        kept.save()
    return kept


def full_symbol(symbol: str) -> str:
    """Return the symbol in TradingView's form, in its one spelling. Raises `InvalidRequest`."""
    try:
        # The source is no part of a symbol; each is as good as another.
        return DatasetKey.parse(source="drawings", symbol=symbol).full_symbol
    except InvalidRequest as error:
        sentences = [sentence for found in error.errors.values() for sentence in found]
        if "exchange" in error.errors:
            sentences = ["Write the exchange before the symbol, such as BINANCE:BTCUSDT."]
        raise InvalidRequest({"symbol": sentences}) from error


def _new(user: User, symbol: str) -> SymbolDrawings:
    if SymbolDrawings.objects.filter(user=user).count() >= MOST_SYMBOLS:
        sentence = f"A user has drawings of at most {MOST_SYMBOLS} symbols. Remove those of another symbol."
        raise InvalidRequest({"symbol": [sentence]})
    return SymbolDrawings(user=user, symbol=symbol, version=0)
