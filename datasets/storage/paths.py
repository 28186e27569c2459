"""How a dataset's file is named, and which dataset a name stands for."""

from __future__ import annotations

import re
from hashlib import sha256
from urllib.parse import quote, unquote

from datasets.bars import Adjustment, DatasetKey, Session, Timeframe, check_source, is_exchange
from datasets.errors import InvalidRequest

SUFFIX = ".parquet"
SUPERSEDED_SUFFIX = ".superseded"
# Longest file name that common file systems hold, in bytes.
MAX_NAME_BYTES = 255


# A symbol whose name would be longer: so many bytes of it, and the hash of all of it.
_SHOWN_BYTES = 100
_HASHED = re.compile(r"~[0-9a-f]{64}_")


def relative_path(key: DatasetKey) -> str:
    """Return the key's file below the datasets folder, such as `sample/BINANCE_BTCUSDT_1h_5000.parquet`.

    Two keys never share a path, also where the file system folds case, and no key leaves
    the folder: whatever a file name cannot hold is percent-encoded. Where that is too long
    for a file name, the symbol's beginning and its hash stand for the symbol. Raises
    `InvalidRequest` for a source or an exchange that is none.
    """
    check_source(key.source)
    return f"{key.source}/{file_names(key)[0]}"


def file_names(key: DatasetKey) -> list[str]:
    """Return the name of the key's file, and the one that the symbol's hash gives where that is another.

    With other numbers of bars, files of one series may have a name of either form.
    """
    if key.exchange and not is_exchange(key.exchange):
        raise InvalidRequest({"exchange": [f"{key.exchange!r} is no exchange, such as BINANCE."]})
    encoded = _encode(key.symbol)
    whole, short = _name(key, encoded), _name(key, _shortened(encoded, key.symbol))
    return [whole, short] if len(whole) <= MAX_NAME_BYTES else [short]


def is_hashed(path: str) -> bool:
    """Return whether the path has a hash for its symbol: only the file itself says which symbol it is."""
    return _HASHED.search(path) is not None


def _name(key: DatasetKey, symbol: str) -> str:
    parts = [key.exchange, symbol, key.timeframe.value, str(key.n_bars)]
    if key.session is not Session.REGULAR:
        parts.append(key.session.value)
    if key.adjustment is not Adjustment.SPLITS:
        parts.append(key.adjustment.value)
    return "_".join(parts) + SUFFIX


def _encode(symbol: str) -> str:
    # `_` separates the parts of the name, and dots in a row would read as a parent folder.
    encoded = quote(symbol, safe="!").replace("_", "%5F").replace("~", "%7E")
    return re.sub(r"\.(?=\.)|(?<=\.)\.", "%2E", encoded)


def _shortened(encoded: str, symbol: str) -> str:
    # Not in the middle of a `%XX`. No encoded symbol holds the `~`.
    shown = re.sub(r"%[0-9A-F]?$", "", encoded[:_SHOWN_BYTES])
    return f"{shown}~{sha256(symbol.encode()).hexdigest()}"


def superseded_mark(name: str) -> str:
    """Return the name of the mark beside a dataset's file that a newer fetch contradicts."""
    return f".{sha256(name.encode()).hexdigest()[:32]}{SUPERSEDED_SUFFIX}"


def key_of(path: str) -> DatasetKey:
    """Return the key whose `relative_path` is `path`; raise `ValueError` for any other text.

    Also for a path that `is_hashed`, which does not say the symbol.
    """
    source, _, name = path.partition("/")
    parts = name.removesuffix(SUFFIX).split("_")
    adjustment, session = Adjustment.SPLITS, Session.REGULAR
    if parts[-1] in (Adjustment.DIVIDENDS, Adjustment.NONE):
        adjustment = Adjustment(parts.pop())
    if parts[-1] == Session.EXTENDED:
        session = Session(parts.pop())
    *exchange, symbol, timeframe, n_bars = parts
    key = DatasetKey(
        source=source,
        exchange="_".join(exchange),
        symbol=unquote(symbol),
        timeframe=Timeframe(timeframe),
        n_bars=int(n_bars),
        session=session,
        adjustment=adjustment,
    )
    try:
        is_its_path = relative_path(key) == path
    except InvalidRequest:
        is_its_path = False
    if not is_its_path:
        raise ValueError(f"{path!r} is not the path of a dataset")
    return key
