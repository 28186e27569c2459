"""`datasets export --layout lean|freqtrade|qlib`: datasets as the data folders of engines."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
from django.conf import settings

from datasets.errors import DatasetsError, InvalidRequest, StoreUnavailable
from datasets.models import Dataset
from datasets.research import load, write_freqtrade, write_lean, write_qlib

# Layouts in which each series has files of its own.
_SINGLE: dict[str, Callable[[pd.DataFrame, Path], object]] = {
    "lean": write_lean,
    "freqtrade": write_freqtrade,
}


def export_for_engine(
    layout: str,
    chosen: Sequence[Dataset],
    folder: Path,
    on_refusal: Callable[[Dataset, Exception], None],
) -> list[Dataset]:
    """Write the closed bars of the datasets below `folder`; return the datasets that were written.

    Parameters
    ----------
    layout
        One of `ENGINE_LAYOUTS` of `dataset_arguments`.
    chosen
        The datasets. Sample bars and real bars must not be among them together.
    folder
        The target; docs/engines.md describes the files.
    on_refusal
        Called for a dataset that is not written, with the reason; the others are written. A data
        folder of qlib is written as a whole, or not at all.

    Raises
    ------
    InvalidRequest
        Two of the datasets would have the same files.
    StoreUnavailable
        The folder with the datasets is absent, or the bucket does not answer.
    OSError
        The folder cannot be written to.
    """
    _require_one_each(layout, chosen)
    done, frames = [], {}
    for dataset in chosen:
        try:
            bars = _bars_of(dataset)
            if layout in _SINGLE:
                _SINGLE[layout](bars, folder)
            else:
                frames[dataset.symbol] = bars
        except StoreUnavailable:
            # Without the folder every dataset would be refused.
            raise
        except DatasetsError as error:
            on_refusal(dataset, error)
        else:
            done.append(dataset)
    if frames:
        write_qlib(frames, folder)
    return done


def _require_one_each(layout: str, chosen: Sequence[Dataset]) -> None:
    """Raise `InvalidRequest` where two of the datasets would have the same files."""
    names: dict[tuple[str, ...], list[Dataset]] = defaultdict(list)
    for dataset in chosen:
        place = (dataset.exchange, dataset.symbol, dataset.timeframe)
        names[(dataset.symbol,) if layout == "qlib" else place].append(dataset)
    for several in names.values():
        if len(several) > 1:
            told = ", ".join(str(dataset.pk) for dataset in several)
            message = (
                f"The datasets {told} would have the same files in a folder of {layout}: name one of "
                "them by its id."
            )
            raise InvalidRequest({"names": [message]})


def _bars_of(dataset: Dataset) -> pd.DataFrame:
    bars: pd.DataFrame = load(
        f"{dataset.exchange}:{dataset.symbol}",
        dataset.timeframe,
        n_bars=dataset.n_bars,
        session=dataset.session,
        adjustment=dataset.adjustment,
        source=dataset.source,
        folder=str(settings.OUTPUTS_BUCKET or settings.OUTPUTS_DIR),
    )
    return bars
