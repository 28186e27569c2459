"""`datasets export --layout lean|freqtrade|qlib`: the data folders of engines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from datasets.bars import Instrument
from datasets.catalog import records
from datasets.models import Dataset
from datasets.storage import FolderStore
from tests.support.factories import a_key, bars_table, fetched_bars

pytestmark = pytest.mark.django_db
COIN = Instrument(type="spot", currency="USDT", timezone="Etc/UTC", session_hours="24x7")


@pytest.fixture
def make(store: FolderStore) -> Callable[..., Dataset]:
    """Return a function that makes a dataset of a coin; `changes` replace fields of its key."""

    def make_dataset(instrument: Instrument = COIN, **changes: object) -> Dataset:
        key = a_key(**{"source": "tradingview"} | changes)
        bars = fetched_bars(bars_table(300), instrument=instrument, last_bar_final=False)
        return records.record(store.write(key, bars))

    return make_dataset


def export(layout: str, folder: Path, *names: str) -> int:
    try:
        call_command("datasets", "export", "--layout", layout, "--to", str(folder), *names)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def files_in(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


def test_datasets_are_exported_in_the_layout_of_an_engine(
    make: Callable[..., Dataset], tmp_path: Path
) -> None:
    make()
    make(symbol="ETHUSDT")

    statuses = [export(layout, tmp_path / layout) for layout in ("lean", "freqtrade", "qlib")]

    assert statuses == [0, 0, 0]
    assert files_in(tmp_path / "lean/crypto/binance/hour") == [
        "btcusdt_trade.zip",
        "ethusdt_trade.zip",
    ]
    assert files_in(tmp_path / "freqtrade") == [
        "binance/BTC_USDT-1h.feather",
        "binance/ETH_USDT-1h.feather",
    ]
    # The bar that was forming is left out.
    times = (tmp_path / "qlib/calendars/60min.txt").read_text().splitlines()
    assert (len(times), times[-1]) == (299, "2025-01-13 10:00:00")
    assert len(files_in(tmp_path / "qlib/features")) == 10


def test_a_dataset_that_an_engine_would_misread_is_refused_alone(
    make: Callable[..., Dataset], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    share = Instrument(type="stock", timezone="America/New_York", session_hours="0930-1600")
    make()
    make(share, exchange="NASDAQ", symbol="AAPL")

    status = export("freqtrade", tmp_path / "out")

    assert status == 1
    assert "fills each interval without a bar" in "".join(capsys.readouterr())
    assert files_in(tmp_path / "out") == ["binance/BTC_USDT-1h.feather"]


def test_two_datasets_for_one_file_are_refused(
    make: Callable[..., Dataset], tmp_path: Path
) -> None:
    datasets = [make(), make(adjustment="none")]
    sample = make(source="sample", symbol="ETHUSDT")

    with pytest.raises(CommandError, match="would have the same files in a folder of lean"):
        export("lean", tmp_path / "out", "BINANCE:BTCUSDT")
    with pytest.raises(CommandError, match="must not share a data folder"):
        export("lean", tmp_path / "out", str(datasets[0].pk), str(sample.pk))
    with pytest.raises(CommandError, match="leave out --format"):
        export("lean", tmp_path / "out", "--format", "csv")
    assert not (tmp_path / "out").exists()
    assert export("lean", tmp_path / "out", str(datasets[1].pk)) == 0
