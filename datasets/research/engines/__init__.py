"""Loaded bars as what backtesting engines read: one module for each engine.

A module imports its engine only inside its functions. docs/engines.md has the lines to type, and a
table of what each engine keeps and loses.
"""

from datasets.research.engines.backtesting import to_backtesting
from datasets.research.engines.backtrader import to_backtrader
from datasets.research.engines.freqtrade import write_freqtrade
from datasets.research.engines.lean import write_lean
from datasets.research.engines.nautilus import nautilus_instrument, to_nautilus, write_nautilus
from datasets.research.engines.pynecore import write_pynecore
from datasets.research.engines.qlib import write_qlib
from datasets.research.engines.vectorbt import to_vectorbt
from datasets.research.engines.zipline import register_zipline

__all__ = [
    "nautilus_instrument",
    "register_zipline",
    "to_backtesting",
    "to_backtrader",
    "to_nautilus",
    "to_vectorbt",
    "write_freqtrade",
    "write_lean",
    "write_nautilus",
    "write_pynecore",
    "write_qlib",
]
