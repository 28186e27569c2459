"""The table of studies (indicators): names, parameters and bounds. `indicators.js` computes their lines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that the user chooses for a study. With a step of 1 the number is whole."""

    label: str
    min: float
    max: float
    step: float


@dataclass(frozen=True, slots=True)
class Study:
    """A kind of study. `name` is short, for the legend; `label` is long, for the menu.

    It is drawn over the prices, over the volumes, or in a pane that all studies of its kind share.
    `range` holds the ends of an index, which its pane always shows; other values are prices or
    volumes. Its pane has a dashed line at each of `guides`.
    """

    name: str
    label: str
    parameters: tuple[Parameter, ...] = ()
    place: Literal["prices", "volumes", "pane"] = "prices"
    range: tuple[float, float] | None = None
    guides: tuple[float, ...] = ()


_PERIOD = Parameter("period", min=2, max=1000, step=1)
_WIDTH = Parameter("width", min=0.5, max=10, step=0.5)


def _smoothing(label: str) -> Parameter:
    return Parameter(label, min=1, max=1000, step=1)


# The kinds as the page's address spells them.
STUDIES = {
    "sma": Study("SMA", "Moving average", (_PERIOD,)),
    "ema": Study("EMA", "Exponential average", (_PERIOD,)),
    "bb": Study("BB", "Bollinger bands", (_PERIOD, _WIDTH)),
    "vwap": Study("VWAP", "VWAP of the day"),
    "donchian": Study("Donchian", "Donchian channel", (_PERIOD,)),
    "volume": Study("Volume average", "Average volume", (_PERIOD,), "volumes"),
    "rsi": Study("RSI", "RSI", (_PERIOD,), "pane", (0, 100), (30, 70)),
    "stochastic": Study(
        "Stochastic",
        "Stochastic",
        (_PERIOD, _smoothing("smoothing"), _smoothing("signal")),
        "pane",
        (0, 100),
        (20, 80),
    ),
    "macd": Study(
        "MACD",
        "MACD",
        (_smoothing("fast"), _smoothing("slow"), _smoothing("signal")),
        "pane",
        guides=(0,),
    ),
    "atr": Study("ATR", "Average true range", (_PERIOD,), "pane"),
}
# The rows of the menu: a kind, and the first value of each of its parameters.
MENU: list[tuple[str, tuple[float, ...]]] = [
    ("sma", (20,)),
    ("sma", (50,)),
    ("ema", (21,)),
    ("bb", (20, 2)),
    ("vwap", ()),
    ("rsi", (14,)),
    ("stochastic", (14, 1, 3)),
    ("macd", (12, 26, 9)),
    ("atr", (14,)),
    ("donchian", (20,)),
    ("volume", (20,)),
]
