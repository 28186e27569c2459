"""How a dataset's file is named, and which dataset a name stands for."""

from __future__ import annotations

import re
from urllib.parse import quote, unquote

from datasets.bars import Adjustment, DatasetKey, Session, Timeframe
from datasets.errors import InvalidRequest

SUFFIX = ".parquet"
# Longest file name that common file systems hold, in bytes.
MAX_NAME_BYTES = 255


def relative_path(key: DatasetKey) -> str:
    """Return the key's file below the datasets folder, such as `sample/BINANCE_BTCUSDT_1h_5000.parquet`.

    Two keys never share a path, also where the file system folds case, and no key leaves
    the folder: whatever a file name cannot hold is percent-encoded.
    """
    parts = [key.exchange, _encode(key.symbol), key.timeframe.value, str(key.n_bars)]
    if key.session is not Session.REGULAR:
        parts.append(key.session.value)
    if key.adjustment is not Adjustment.SPLITS:
        parts.append(key.adjustment.value)
    name = "_".join(parts) + SUFFIX
    if len(name) > MAX_NAME_BYTES:
        raise InvalidRequest({"symbol": ["This symbol is too long for a file name."]})
    return f"{key.source}/{name}"


def _encode(symbol: str) -> str:
    # `_` separates the parts of the name, and dots in a row would read as a parent folder.
    encoded = quote(symbol, safe="!").replace("_", "%5F").replace("~", "%7E")
    return re.sub(r"\.(?=\.)|(?<=\.)\.", "%2E", encoded)


def key_of(path: str) -> DatasetKey:
    """Return the key whose `relative_path` is `path`; raise `ValueError` for any other text."""
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
    if relative_path(key) != path:
        raise ValueError(f"{path!r} is not the path of a dataset")
    return key
