"""Run one engine on each case: `python -m tests.engines.round_trips ENGINE OUTPUTS RESULTS`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from datasets.errors import InvalidRequest
from datasets.research import load
from tests.engines.cases import CASES


def main() -> None:
    engine, outputs, results = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    module = importlib.import_module(f"tests.engines.round_trips.{engine}")
    for name, case in CASES.items():
        bars = load(case.symbol, case.timeframe, folder=outputs, closed=not case.is_forming)
        folder = results / name
        folder.mkdir()
        try:
            back = module.bars_back(bars, folder)
        except InvalidRequest as error:
            (results / f"{name}.refused").write_text(str(error))
        else:
            back.to_parquet(results / f"{name}.parquet")
    if hasattr(module, "refusals"):
        days = load(CASES["days"].symbol, CASES["days"].timeframe, folder=outputs)
        for words, convert in module.refusals(days, results).items():
            require_refusal(words, convert)


def require_refusal(words: str, convert: Callable[[], object]) -> None:
    """Raise `AssertionError` unless the conversion is refused, with these words in the text."""
    try:
        convert()
    except InvalidRequest as error:
        assert words in str(error), f"{words!r} is not in {str(error)!r}"
    else:
        raise AssertionError(f"not refused: {words}")


if __name__ == "__main__":
    main()
