"""What are bars? Timeframes, keys, instruments, tables, and the rules for bars. No Django, no files, no network."""

from datasets.bars.instruments import Instrument
from datasets.bars.keys import (
    IMPORTED,
    KEY_FIELDS,
    MAX_SYMBOL_LENGTH,
    Adjustment,
    DatasetKey,
    Session,
    ascii_upper,
    canonical_name,
    check_source,
    is_exchange,
    join_symbol,
    split_symbol,
)
from datasets.bars.quality import count_inconsistent, largest_gap_s, zero_volume_share
from datasets.bars.tables import (
    BAR_COLUMNS,
    BAR_SCHEMA,
    NO_VALUE,
    PRICE_COLUMNS,
    FetchedBars,
    check_numbers,
    content_hash,
    make_table,
)
from datasets.bars.timeframes import BarLength, Timeframe

__all__ = [
    "Adjustment",
    "BAR_COLUMNS",
    "BAR_SCHEMA",
    "BarLength",
    "DatasetKey",
    "FetchedBars",
    "IMPORTED",
    "Instrument",
    "KEY_FIELDS",
    "MAX_SYMBOL_LENGTH",
    "NO_VALUE",
    "PRICE_COLUMNS",
    "Session",
    "Timeframe",
    "ascii_upper",
    "canonical_name",
    "check_numbers",
    "check_source",
    "content_hash",
    "count_inconsistent",
    "is_exchange",
    "join_symbol",
    "largest_gap_s",
    "make_table",
    "split_symbol",
    "zero_volume_share",
]
