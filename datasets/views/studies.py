"""The table of studies (indicators): names, parameters and bounds. `indicators.js` computes their lines."""

from __future__ import annotations

from dataclasses import dataclass


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

    With `has_pane` its values are an index from 0 to 100, drawn in a pane of its own.
    """

    name: str
    label: str
    parameters: tuple[Parameter, ...] = ()
    has_pane: bool = False


_PERIOD = Parameter("period", min=2, max=1000, step=1)
_WIDTH = Parameter("width", min=0.5, max=10, step=0.5)

# The kinds as the page's address spells them.
STUDIES = {
    "sma": Study("SMA", "Moving average", (_PERIOD,)),
    "ema": Study("EMA", "Exponential average", (_PERIOD,)),
    "bb": Study("BB", "Bollinger bands", (_PERIOD, _WIDTH)),
    "vwap": Study("VWAP", "VWAP of the day"),
    "rsi": Study("RSI", "RSI", (_PERIOD,), has_pane=True),
}
# The rows of the menu: a kind, and the first value of each of its parameters.
MENU: list[tuple[str, tuple[float, ...]]] = [
    ("sma", (20,)),
    ("sma", (50,)),
    ("ema", (21,)),
    ("bb", (20, 2)),
    ("vwap", ()),
    ("rsi", (14,)),
]
