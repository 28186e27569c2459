"""Paths of datasets: the name of a key's file, and the key of a file name."""

from __future__ import annotations

import re
from contextlib import suppress
from hashlib import sha256
from urllib.parse import quote, unquote

from datasets.bars import Adjustment, DatasetKey, Session, check_source, is_exchange
from datasets.errors import InvalidRequest

SUFFIX = ".parquet"
SUPERSEDED_SUFFIX = ".superseded"
# Longest file name of common file systems, in bytes.
MAX_NAME_BYTES = 255

# A longer name shows this number of bytes of the symbol, then the hash of the whole symbol.
_SHOWN_BYTES = 100
_HASHED = re.compile(r"~[0-9a-f]{64}_")


def relative_path(key: DatasetKey) -> str:
    """Return the key's file below the datasets folder, such as `sample/BINANCE_BTCUSDT_1h_5000.parquet`.

    Two keys never share a path, also on a file system that folds case, and no key leaves the
    folder: characters that a file name cannot hold are percent-encoded. Where the name would be
    too long, the symbol's beginning and its hash replace the symbol. Raises `InvalidRequest`
    for an impossible source or exchange.
    """
    check_source(key.source)
    return f"{key.source}/{file_names(key)[0]}"


def file_names(key: DatasetKey) -> list[str]:
    """Return the possible names of the key's file; the name in `relative_path` is the first.

    The second name has the symbol's hash. Files of the same series with a larger number of
    bars can have a name of that form.
    """
    if key.exchange and not is_exchange(key.exchange):
        raise InvalidRequest({"exchange": [f"{key.exchange!r} is no exchange, such as BINANCE."]})
    encoded, hashed = symbol_spellings(key.symbol)
    whole, short = _name(key, encoded), _name(key, hashed)
    return [whole, short] if len(whole) <= MAX_NAME_BYTES else [short]


def symbol_spellings(symbol: str) -> tuple[str, str]:
    """Return the symbol as part of a file name: percent-encoded, and its beginning with its hash."""
    # `_` separates the parts of the name, and two dots would mean the parent folder.
    encoded = quote(symbol, safe="!").replace("_", "%5F").replace("~", "%7E")
    encoded = re.sub(r"\.(?=\.)|(?<=\.)\.", "%2E", encoded)
    # The cut leaves no half of a `%XX`. No encoded symbol contains the `~`.
    shown = re.sub(r"%[0-9A-F]?$", "", encoded[:_SHOWN_BYTES])
    return encoded, f"{shown}~{sha256(symbol.encode()).hexdigest()}"


def is_hashed(path: str) -> bool:
    """Return whether the path has a hash for its symbol: only the file's metadata names the symbol."""
    return _HASHED.search(path) is not None


def _name(key: DatasetKey, symbol: str) -> str:
    parts = [key.exchange, symbol, key.timeframe.value, str(key.n_bars)]
    if key.session is not Session.REGULAR:
        parts.append(key.session.value)
    if key.adjustment is not Adjustment.SPLITS:
        parts.append(key.adjustment.value)
    return "_".join(parts) + SUFFIX


def superseded_mark(name: str) -> str:
    """Return the name of the mark beside a dataset's file: a newer fetch contradicts that file."""
    return f".{sha256(name.encode()).hexdigest()[:32]}{SUPERSEDED_SUFFIX}"


def key_of(path: str) -> DatasetKey:
    """Return the key whose `relative_path` is `path`; raise `ValueError` for any other text.

    A path that `is_hashed` also raises, because it does not contain the whole symbol.
    """
    source, _, name = path.partition("/")
    parts = name.removesuffix(SUFFIX).split("_")
    adjustment, session = Adjustment.SPLITS, Session.REGULAR
    if parts[-1] in (Adjustment.DIVIDENDS, Adjustment.NONE):
        adjustment = Adjustment(parts.pop())
    if parts[-1] == Session.EXTENDED:
        session = Session(parts.pop())
    *exchange, symbol, timeframe, n_bars = parts
    values = {
        "source": source,
        "exchange": "_".join(exchange),
        "symbol": unquote(symbol),
        "timeframe": timeframe,
        "n_bars": int(n_bars),
        "session": session,
        "adjustment": adjustment,
    }
    with suppress(InvalidRequest):
        key = DatasetKey.from_dict(values)
        if relative_path(key) == path:
            return key
    raise ValueError(f"{path!r} is not the path of a dataset")
