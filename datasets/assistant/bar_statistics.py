"""Numbers about a range of bars: its prices in short, returns, volatility, drawdown."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import numpy.typing as npt

from datasets.errors import InvalidRequest

_YEAR_S = 365.25 * 86_400
# Columns of bars as the API's format `columns` gives them; `time` in seconds since 1970.
Columns = Mapping[str, Sequence[Any]]


def at(seconds: float) -> str:
    """Return an instant as ISO 8601, UTC."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def in_short(bars: Columns) -> dict[str, Any]:
    """Return first, last, highest and lowest price of one or more bars, with their times."""
    times = bars["time"]
    highs, lows = np.array(bars["high"], dtype=float), np.array(bars["low"], dtype=float)
    highest, lowest = int(highs.argmax()), int(lows.argmin())
    volumes = [volume for volume in bars["volume"] if volume is not None]
    return {
        "first_time": at(times[0]),
        "last_time": at(times[-1]),
        "open": bars["open"][0],
        "close": bars["close"][-1],
        "high": {"price": float(highs[highest]), "time": at(times[highest])},
        "low": {"price": float(lows[lowest]), "time": at(times[lowest])},
        "mean_close": float(np.mean(np.array(bars["close"], dtype=float))),
        "volume": math.fsum(volumes) if volumes else None,
    }


def statistics(bars: Columns) -> dict[str, Any]:
    """Return returns, volatility and the largest drawdown of the closes.

    A return is close / close before - 1. `annualised_volatility` is the deviation of the
    logarithms of returns, times the root of the returns a year in this range. Raises
    `InvalidRequest` for fewer than 3 bars and for closes that are not above 0.
    """
    closes = np.array(bars["close"], dtype=float)
    if len(closes) < 3:
        message = f"The range has {len(closes)} closed bars; statistics need 3 or more."
        raise InvalidRequest({"start": [message]})
    if closes.min() <= 0:
        message = "A close in this range is not above 0, so that returns have no meaning."
        raise InvalidRequest({"symbol": [message]})
    times = bars["time"]
    returns = closes[1:] / closes[:-1] - 1
    best, worst = int(returns.argmax()), int(returns.argmin())
    a_year = len(returns) / ((times[-1] - times[0]) / _YEAR_S)
    return {
        "count": len(closes),
        "first_time": at(times[0]),
        "last_time": at(times[-1]),
        "first_close": float(closes[0]),
        "last_close": float(closes[-1]),
        "total_return": float(closes[-1] / closes[0] - 1),
        "mean_return_per_bar": float(returns.mean()),
        "share_of_rising_bars": float((returns > 0).mean()),
        "best_bar": {"return": float(returns[best]), "time": at(times[best + 1])},
        "worst_bar": {"return": float(returns[worst]), "time": at(times[worst + 1])},
        "annualised_volatility": float(np.log1p(returns).std(ddof=1) * math.sqrt(a_year)),
        "returns_a_year": round(a_year, 1),
        "largest_drawdown": _drawdown(closes, times),
    }


def _drawdown(closes: npt.NDArray[np.float64], times: Sequence[float]) -> dict[str, Any]:
    """Return the largest fall from a highest close so far, with the times of both closes."""
    falls = closes / np.maximum.accumulate(closes) - 1
    trough = int(falls.argmin())
    peak = int(closes[: trough + 1].argmax())
    return {"return": float(falls[trough]), "from": at(times[peak]), "to": at(times[trough])}
