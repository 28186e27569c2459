"""`manage.py import`: bars from elsewhere beside TradingView's."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command
from django.test import Client

from datasets import serving
from datasets.archive.series_rows import adopt_series, folder_of
from datasets.bars import BAR_COLUMNS, IMPORTED
from datasets.bars.series_keys import SeriesKey
from datasets.errors import DatasetNotFound, InvalidRequest
from datasets.models import Dataset, Revision, Series
from datasets.research import load
from datasets.storage.archives.archive_queries import read_range
from tests.support.archives import bars_of, changed, plain_bar, plain_bars, rows_of, scaled
from tests.support.factories import a_key

pytestmark = pytest.mark.django_db

KEY = SeriesKey.of(a_key(source=IMPORTED, symbol="AAPL", exchange="NASDAQ"))
Import = Callable[..., dict[str, Any]]


@pytest.fixture
def import_bars(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Import:
    """Return a function that writes bars to a parquet file, imports the file, and returns the report."""

    def run(table: pa.Table, *arguments: str) -> dict[str, Any]:
        path = tmp_path / "bars.parquet"
        pq.write_table(table, path)
        call_command("import", str(path), "--symbol=nasdaq:aapl", "-t60", "--json", *arguments)
        report: dict[str, Any] = json.loads(capsys.readouterr().out)
        return report

    return run


def held() -> pa.Table:
    return read_range(folder_of(KEY)).rows.select(BAR_COLUMNS)


def content(folder: Path) -> dict[str, bytes]:
    """Return every file below the folder but the marks of locks."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def test_imported_bars_are_a_source_of_their_own(import_bars: Import, own_outputs: Path) -> None:
    table = plain_bars(range(100))

    report = import_bars(table)

    assert (report["count"], report["new"], report["changes"]) == (100, 100, {})
    assert report["path"] == "imported/NASDAQ_AAPL_1h_1000000.parquet"
    assert held().equals(table)
    assert (own_outputs / "archive/imported/NASDAQ_AAPL_1h/series.json").exists()
    loaded = load("NASDAQ:AAPL", "1h", source="imported", folder=own_outputs)
    assert (len(loaded), loaded.attrs["source"]) == (100, "imported")
    with pytest.raises(DatasetNotFound, match="no bars of the source 'tradingview'"):
        load("NASDAQ:AAPL", "1h", folder=own_outputs)
    series = Series.objects.get()
    dataset = Dataset.objects.get()
    assert (series.source, series.n_rows, dataset.series, dataset.tvdatafeed_version) == (
        "imported", 100, series, "",
    )  # fmt: skip


def test_a_range_of_imported_bars_is_loaded(import_bars: Import, own_outputs: Path) -> None:
    import_bars(plain_bars(range(100)))

    loaded = load(
        "NASDAQ:AAPL", "1h", source="imported", folder=own_outputs,
        start="2025-01-01", end="2025-01-01T12:00",
    )  # fmt: skip

    assert [loaded.index[0].isoformat(), len(loaded)] == ["2025-01-01T00:00:00+00:00", 12]


def test_the_api_serves_the_imported_dataset(import_bars: Import, client: Client) -> None:
    import_bars(plain_bars(range(100)))

    (row,) = client.get("/api/tv/datasets?source=imported").json()["results"]
    bars = client.get(f"/api/tv/datasets/{row['id']}/bars").json()

    assert (bars["source"], bars["symbol"], bars["count"]) == ("imported", "AAPL", 100)
    address = f"/api/tv/series/{Series.objects.get().pk}/bars"
    part = client.get(f"{address}?start=2025-01-01&end=2025-01-01T12:00Z").json()
    assert (part["source"], part["count"]) == ("imported", 12)
    with pytest.raises(InvalidRequest, match="Import the file again"):
        serving.refresh(Dataset.objects.get(), via="api")


def test_a_second_import_of_a_file_changes_nothing(import_bars: Import, own_outputs: Path) -> None:
    import_bars(plain_bars(range(100)))
    before = content(own_outputs)

    report = import_bars(plain_bars(range(100)))

    assert (report["new"], report["changes"], content(own_outputs)) == (0, {}, before)
    assert Revision.objects.count() == 0


def test_a_second_import_brings_a_deleted_dataset_back(
    import_bars: Import, own_outputs: Path
) -> None:
    import_bars(plain_bars(range(100)))
    dataset = Dataset.objects.get()
    dataset.state = Dataset.State.MISSING
    dataset.save()

    import_bars(plain_bars(range(100)))

    dataset.refresh_from_db()
    assert dataset.state == Dataset.State.READY


def test_files_of_different_times_become_one_series(import_bars: Import, own_outputs: Path) -> None:
    import_bars(plain_bars(range(60, 100)))
    report = import_bars(plain_bars(range(0, 40)))

    whole = plain_bars(range(100))
    expected = pa.concat_tables([whole.slice(0, 40), whole.slice(60)]).combine_chunks()
    assert report["new"] == 40
    assert held().equals(expected)
    assert len(load("NASDAQ:AAPL", source="imported", folder=own_outputs)) == 80


def test_changed_bars_are_audited_and_the_older_ones_are_kept(import_bars: Import) -> None:
    table = plain_bars(range(100))
    import_bars(table)
    other = changed(table, 50, close=table["close"][50].as_py() + 0.05)

    report = import_bars(other)

    assert (report["new"], report["changes"]) == (0, {"unexplained": 1})
    assert held().equals(table)
    assert Revision.objects.get().state == "open"
    import_bars(other)
    assert held().equals(other)
    assert Revision.objects.get(number=1).state == "accepted"


def test_bars_of_another_basis_are_not_mixed(import_bars: Import, own_outputs: Path) -> None:
    import_bars(plain_bars(range(100)))
    before = content(own_outputs)

    with pytest.raises(CommandError, match=r"another basis .* from 2024-12-30 to 2025-01-03"):
        import_bars(scaled(plain_bars(range(50, 100)), 0.5))

    assert content(own_outputs) == before
    split = scaled(plain_bars(range(100)), 0.5)
    import_bars(split)
    assert held().equals(split)
    assert Series.objects.get().generation == 2


def test_a_dry_run_checks_and_changes_nothing(import_bars: Import, own_outputs: Path) -> None:
    report = import_bars(plain_bars(range(60)), "--dry-run")
    assert (report["new"], report["dry_run"], list(own_outputs.iterdir())) == (60, True, [])

    import_bars(plain_bars(range(60)))
    before = content(own_outputs)
    report = import_bars(plain_bars(range(30, 100)), "--dry-run")

    assert (report["new"], content(own_outputs)) == (40, before)


def test_a_wrong_line_imports_nothing(tmp_path: Path, own_outputs: Path) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("time,open,high,low,close\n1704204000,1,2,1,2\n1704207600,1,2,1,two\n")

    with pytest.raises(CommandError) as caught:
        call_command("import", str(path), "--symbol=NASDAQ:AAPL", "-t1h")

    assert str(caught.value).splitlines() == [
        "1 line is wrong in bars.csv, so nothing was imported.",
        "Line 3 has 'two' in the column 'close': write a number such as 1234.5, with a point and without other signs.",
    ]
    assert (content(own_outputs), Series.objects.count()) == ({}, 0)


def test_a_report_names_new_and_odd_bars(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("Date,Time,O,H,L,C\n2024-01-02,09:00,3,2,1,2\n2024-01-02,10:00,1,2,1,2\n")

    call_command(
        "import", str(path), "--symbol=NASDAQ:AAPL", "-t1h", "--time-zone=America/New_York"
    )

    assert capsys.readouterr().out.splitlines() == [
        "Bars of NASDAQ:AAPL 1h checked: 2, from 2024-01-02 14:00 to 2024-01-02 15:00 UTC. New bars imported: 2.",
        "Bars with a high or low that does not enclose open and close: 1. They are kept as they are.",
    ]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--symbol=AAPL", "-t1h"], "exchange"),
        (["--symbol=NASDAQ:AAPL", "-t7x"], "is no timeframe"),
        (["--symbol=NASDAQ:AAPL", "-t1h", "--time-zone=Mars/Base"], "is no time zone"),
        (["--symbol=NASDAQ:AAPL", "-t1h", "--column=size=Vol"], "names no column"),
        (["--symbol=NASDAQ:AAPL", "-t1h", "--column=open=First"], "no column 'First'"),
    ],
)
def test_a_wrong_argument_is_named(tmp_path: Path, arguments: list[str], why: str) -> None:
    path = tmp_path / "bars.csv"
    path.write_text("time,open,high,low,close\n1704204000,1,2,1,2\n")

    with pytest.raises(CommandError, match=why):
        call_command("import", str(path), *arguments)


def test_a_pinned_dataset_is_not_replaced(import_bars: Import, own_outputs: Path) -> None:
    import_bars(plain_bars(range(60)))
    Dataset.objects.update(is_pinned=True)
    before = content(own_outputs)

    with pytest.raises(CommandError, match="is pinned"):
        import_bars(plain_bars(range(100)))

    assert content(own_outputs) == before


def test_rows_of_imports_are_made_again_from_the_files(import_bars: Import) -> None:
    import_bars(bars_of({hour: plain_bar(hour) for hour in range(60)}))
    Series.objects.all().delete()

    assert [finding.outcome for finding in adopt_series()] == ["adopted"]
    assert Series.objects.get().first_time == datetime(2024, 12, 30, tzinfo=UTC)
    assert len(rows_of(held())) == 60
