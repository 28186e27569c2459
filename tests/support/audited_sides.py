"""Sides of an audit for tests and benchmarks: daily prices of a made-up share, and their comparison."""

from __future__ import annotations

from typing import Any

import numpy as np

from datasets.archive.audit import Audit, compare
from datasets.archive.sides import Side
from datasets.bars import Instrument

N_BARS = 600
DAY_MS = 86_400_000
NO_FACTS = Instrument()


def walk(seed: int, level: float, decimals: int) -> Any:
    """Return daily prices, shape (600, 4), and volumes of a made-up share."""
    random = np.random.default_rng(seed)
    closes = level * np.exp(np.cumsum(random.normal(0, 0.015, N_BARS)))
    opens = np.concatenate([[level], closes[:-1]]) * (1 + random.normal(0, 0.003, N_BARS))
    highs = np.maximum(opens, closes) * (1 + np.abs(random.normal(0, 0.004, N_BARS)))
    lows = np.minimum(opens, closes) * (1 - np.abs(random.normal(0, 0.004, N_BARS)))
    prices = np.round(np.column_stack([opens, highs, lows, closes]), decimals)
    return prices, np.round(random.lognormal(15, 1, N_BARS))


def side(prices: Any, volumes: Any, instrument: Instrument = NO_FACTS, **values: Any) -> Side:
    n_bars = len(prices)
    given: dict[str, Any] = {
        "times": np.arange(n_bars) * DAY_MS,
        "prices": np.asarray(prices, dtype=float),
        "volumes": np.asarray(volumes, dtype=float),
        "is_final": np.ones(n_bars, dtype=bool),
        "instrument": instrument,
    }
    return Side(**(given | values))


def audited(old: Side, new: Side) -> Audit:
    return compare(old, new, held_at_ms=N_BARS * DAY_MS)
