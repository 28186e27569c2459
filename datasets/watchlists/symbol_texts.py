"""Texts of symbols: pasted lines and TradingView's own export of a watchlist, read and written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from datasets.bars import DatasetKey, join_symbol
from datasets.errors import InvalidRequest

# TradingView exports at most 1,000 symbols of a list.
MOST_SYMBOLS = 2000
MOST_BYTES = 256 * 1024
_HEADING = "###"
_MOST_SECTION = 100
# A long list of mistakes helps nobody: the first ones show what is wrong.
_MOST_MISTAKES = 50


@dataclass(frozen=True, slots=True)
class SymbolEntry:
    """One symbol of a text, in its one spelling, and the heading that it stands under."""

    exchange: str
    symbol: str
    section: str = ""

    @property
    def full_symbol(self) -> str:
        """TradingView's form, `EXCHANGE:SYMBOL`; for an expression only the symbol."""
        return join_symbol(self.exchange, self.symbol)


class Listed(Protocol):
    """A symbol with its heading: an entry of a text, or a row of a watchlist."""

    @property
    def full_symbol(self) -> str: ...

    @property
    def section(self) -> str: ...


def read_symbols(text: str) -> list[SymbolEntry]:
    """Return the symbols of a text, each once, in their order.

    One symbol a line or several with commas between them; `###Name` begins a section, and a line
    that begins with one `#` is a comment. This is also the format in which TradingView exports a
    list. Raises `InvalidRequest`, which names each wrong line; nothing of such a text is used.
    """
    if len(text.encode(errors="replace")) > MOST_BYTES:
        raise InvalidRequest({"symbols": [f"The text is longer than {MOST_BYTES // 1024} KiB."]})
    found: dict[tuple[str, str], SymbolEntry] = {}
    wrong, section = [], ""
    for number, line in enumerate(text.lstrip("\ufeff").splitlines(), start=1):
        if line.lstrip().startswith("#") and not line.lstrip().startswith(_HEADING):
            continue
        for part in filter(None, map(str.strip, line.split(","))):
            try:
                if part.startswith(_HEADING):
                    section = _section(part)
                else:
                    entry = _entry(part, section)
                    found.setdefault((entry.exchange, entry.symbol), entry)
            except InvalidRequest as error:
                wrong.append(f"Line {number}: {part[:60]!r}: {error}")
    if len(found) > MOST_SYMBOLS:
        wrong.append(f"The text has {len(found)} symbols; a watchlist has at most {MOST_SYMBOLS}.")
    if wrong:
        n_more = len(wrong) - _MOST_MISTAKES
        more = [f"{n_more} more parts of the text are wrong."] if n_more > 0 else []
        raise InvalidRequest({"symbols": [*wrong[:_MOST_MISTAKES], *more]})
    return list(found.values())


def read_file(content: bytes) -> list[SymbolEntry]:
    """Return the symbols of an uploaded file; errors as for `read_symbols`, also for another encoding."""
    if len(content) > MOST_BYTES:
        raise InvalidRequest({"symbols": [f"The file is larger than {MOST_BYTES // 1024} KiB."]})
    try:
        return read_symbols(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InvalidRequest({"symbols": ["The file is not a text file in UTF-8."]}) from error


def write_symbols(symbols: Iterable[Listed]) -> str:
    """Return the text of a list: one symbol a line under its heading; `read_symbols` reads it back."""
    lines, section = [], ""
    for each in symbols:
        if each.section != section:
            section = each.section
            # A heading without a name ends the section before it.
            lines.append(f"{_HEADING}{section}")
        lines.append(each.full_symbol)
    return "".join(f"{line}\n" for line in lines)


def _section(part: str) -> str:
    name = " ".join(part.removeprefix(_HEADING).split())
    if len(name) > _MOST_SECTION or not name.isprintable():
        raise InvalidRequest(
            {"symbols": [f"A heading has at most {_MOST_SECTION} printable characters."]}
        )
    return name


def _entry(part: str, section: str) -> SymbolEntry:
    if ":" not in part:
        raise InvalidRequest(
            {"symbols": ["The exchange is missing; write EXCHANGE:SYMBOL, such as NASDAQ:AAPL."]}
        )
    # The source is no part of a list; any will do for the check.
    key = DatasetKey.parse(source="tradingview", symbol=part)
    return SymbolEntry(key.exchange, key.symbol, section)
