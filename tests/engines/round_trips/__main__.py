"""Run one engine on each case: `python -m tests.engines.round_trips ENGINE OUTPUTS RESULTS`."""

from __future__ import annotations

import importlib
import sys
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


if __name__ == "__main__":
    main()
