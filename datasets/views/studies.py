"""The table of studies (indicators): names, parameters and bounds. `studies/indicators.js` computes their lines."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Parameter:
    """A number that the user chooses for a study. With a step of 1 the number is whole.

    A time is a number of UNIX seconds, so that it names the same instant on every timeframe.
    """

    label: str
    min: float
    max: float
    step: float
    is_time: bool = False


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
# From 1800 to 2100. No bar is older, and the field for a year accepts any number while it is typed.
_ANCHOR = Parameter("from, UTC", min=-5_364_662_400, max=4_102_444_800, step=1, is_time=True)


def _smoothing(label: str) -> Parameter:
    return Parameter(label, min=1, max=1000, step=1)


# The kinds as the page's address spells them.
STUDIES = {
    "sma": Study("SMA", "Moving average", (_PERIOD,)),
    "ema": Study("EMA", "Exponential average", (_PERIOD,)),
    "bb": Study("BB", "Bollinger bands", (_PERIOD, _WIDTH)),
    "vwap": Study("VWAP", "VWAP of the day"),
    "avwap": Study("VWAP from", "Anchored VWAP", (_ANCHOR,)),
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
# The rows of the menu: a kind, the first value of each of its parameters, and the number of its colour.
# An anchor has no first value: the page takes the first visible bar.
MENU: list[tuple[str, tuple[float | None, ...], int]] = [
    ("sma", (20,), 1),
    ("sma", (50,), 2),
    ("ema", (21,), 3),
    ("bb", (20, 2), 4),
    ("vwap", (), 5),
    ("avwap", (None,), 12),
    ("rsi", (14,), 6),
    ("stochastic", (14, 1, 3), 7),
    ("macd", (12, 26, 9), 8),
    ("atr", (14,), 9),
    ("donchian", (20,), 10),
    ("volume", (20,), 11),
]
# The names of the colours `--study-1` to `--study-12` of `colors.css`, which suit both themes.
COLORS = (
    "orange", "blue", "violet", "cyan", "yellow", "pink",
    "brown", "teal", "green", "magenta", "red", "grey",
)  # fmt: skip


def script_table() -> dict[str, dict[str, Any]]:
    """Return the kinds for the page's script; `colors` are those of the kind's rows in the menu."""
    return {
        kind: asdict(study) | {"colors": [color for name, _, color in MENU if name == kind]}
        for kind, study in STUDIES.items()
    }
