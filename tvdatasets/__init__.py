"""Bars of a TradingView dataset service in a notebook, a backtest or a sweep.

The same functions as `datasets.research` in the project's folder, under a name that no other package
has. docs/research/reference.md describes each.
"""

from datasets.research import *  # noqa: F403
from datasets.research import __all__ as __all__
