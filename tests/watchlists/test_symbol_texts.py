"""Pasted texts and TradingView's export are read whole or not at all, and written in the same format."""

from __future__ import annotations

import pytest

from datasets.errors import InvalidRequest
from datasets.watchlists import SymbolEntry, read_file, read_symbols, write_symbols
from datasets.watchlists.symbol_texts import MOST_BYTES, MOST_SYMBOLS

EXPORT = "###STOCKS,NASDAQ:AAPL,NYSE:IBM,###CRYPTO,BINANCE:BTCUSDT,###EMPTY"


def names(text: str) -> list[str]:
    return [entry.full_symbol for entry in read_symbols(text)]


def test_tradingviews_export_is_read_with_its_sections() -> None:
    assert read_symbols(EXPORT) == [
        SymbolEntry("NASDAQ", "AAPL", "STOCKS"),
        SymbolEntry("NYSE", "IBM", "STOCKS"),
        SymbolEntry("BINANCE", "BTCUSDT", "CRYPTO"),
    ]


def test_lines_commas_comments_and_repeated_symbols_are_read() -> None:
    text = "\ufeff# mine\nnasdaq:aapl, NYSE:IBM,\r\n\nNASDAQ:AAPL\n  COMEX:GC1!  \n(COINBASE:BTCUSD+BITSTAMP:BTCUSD)/2"

    assert names(text) == [
        "NASDAQ:AAPL",
        "NYSE:IBM",
        "COMEX:GC1!",
        "(COINBASE:BTCUSD+BITSTAMP:BTCUSD)/2",
    ]


def test_each_wrong_line_is_named_and_nothing_is_returned() -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_symbols("NASDAQ:AAPL\nIBM\nNYSE:A B\nNYSE:IBM, ###" + "x" * 101)

    messages = caught.value.errors["symbols"]
    assert [message.split(":")[0] for message in messages] == ["Line 2", "Line 3", "Line 4"]
    assert "The exchange is missing" in messages[0]
    assert "without spaces" in messages[1]
    assert "at most 100" in messages[2]


def test_a_written_list_is_read_back_as_it_was() -> None:
    entries = [
        SymbolEntry("NASDAQ", "AAPL"),
        SymbolEntry("NYSE", "IBM", "Old, slow".replace(",", "")),
        SymbolEntry("XETR", "SAP", "Börse #1"),
        SymbolEntry("BINANCE", "BTCUSDT"),
    ]

    text = write_symbols(entries)

    assert (
        text == "NASDAQ:AAPL\n###Old slow\nNYSE:IBM\n###Börse #1\nXETR:SAP\n###\nBINANCE:BTCUSDT\n"
    )
    assert read_symbols(text) == entries
    assert read_file(text.encode("utf-8-sig")) == entries


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"NASDAQ:\xff", "UTF-8"),
        (b"A:B," * MOST_BYTES, "larger"),
        ("\n".join(f"A:B{n}" for n in range(MOST_SYMBOLS + 1)).encode(), "2001 symbols"),
    ],
)
def test_a_file_of_another_encoding_or_too_long_is_refused(content: bytes, part: str) -> None:
    with pytest.raises(InvalidRequest, match=part):
        read_file(content)


def test_many_mistakes_are_counted() -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_symbols("IBM\n" * 80)

    assert len(caught.value.errors["symbols"]) == 51
    assert caught.value.errors["symbols"][-1] == "30 more parts of the text are wrong."
