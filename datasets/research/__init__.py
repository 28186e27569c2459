"""How to load bars in a notebook, a backtest or a sweep: from the files, without the web service.

The package imports neither Django nor a database. docs/research/reference.md describes each function.
"""

from datasets.errors import (
    BarNotFound,
    DatasetNotFound,
    FolderUnavailable,
    LockMismatch,
    NotCurrent,
    ServiceFailed,
)
from datasets.research.alignment import align
from datasets.research.archives.bar_history import adjustments, history
from datasets.research.archives.lock_checks import verify_lock
from datasets.research.converters import to_numpy
from datasets.research.dataframes import close_times
from datasets.research.engines import (
    nautilus_instrument,
    register_zipline,
    to_backtesting,
    to_backtrader,
    to_nautilus,
    to_vectorbt,
    write_freqtrade,
    write_lean,
    write_nautilus,
    write_pynecore,
    write_qlib,
)
from datasets.research.loader import catalog, load
from datasets.research.lock_files import write_lock
from datasets.research.market_hours import between, gaps, is_open, sessions, trading_day
from datasets.research.panels import load_panel
from datasets.research.resampling import resample
from datasets.research.studies import continuous, purged_splits, walk_forward

__all__ = [
    "BarNotFound",
    "DatasetNotFound",
    "FolderUnavailable",
    "LockMismatch",
    "NotCurrent",
    "ServiceFailed",
    "adjustments",
    "align",
    "between",
    "catalog",
    "close_times",
    "continuous",
    "gaps",
    "history",
    "is_open",
    "load",
    "load_panel",
    "nautilus_instrument",
    "purged_splits",
    "register_zipline",
    "resample",
    "sessions",
    "to_backtesting",
    "to_backtrader",
    "to_nautilus",
    "to_numpy",
    "to_vectorbt",
    "trading_day",
    "verify_lock",
    "walk_forward",
    "write_freqtrade",
    "write_lean",
    "write_lock",
    "write_nautilus",
    "write_pynecore",
    "write_qlib",
]
