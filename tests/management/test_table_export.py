"""`datasets export --layout table`: the archive as one sorted table."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from django.core.management import CommandError, call_command

from datasets.archive.series_rows import adopt_series
from datasets.management import table_export
from tests.support.archives import Archive, plain_bars, rows_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def archives(own_outputs: Path) -> list[Archive]:
    """Five archives, in the order of the table, with rows in the catalog."""
    root = own_outputs / "archive"
    found = [
        Archive(root, source="tradingview", timeframe="15"),
        Archive(root, source="tradingview", session="extended"),
        Archive(root, source="tradingview"),
        Archive(root, source="tradingview", symbol="MSFT"),
        Archive(root, source="sample"),
    ]
    for level, archive in enumerate(reversed(found)):
        archive.merge(plain_bars(range(100), level=100 + level), last_bar_final=level != 3)
    list(adopt_series())
    return found


def export(folder: Path, *arguments: str) -> None:
    call_command("datasets", "export", "--layout=table", f"--to={folder}", *arguments)


def test_the_table_has_all_bars_sorted(archives: list[Archive], tmp_path: Path) -> None:
    export(tmp_path / "table")

    (path,) = (tmp_path / "table/tradingview").iterdir()
    table = pq.read_table(path)
    assert (path.name, table.schema.equals(table_export.SCHEMA)) == ("bars-000.parquet", True)
    assert rows_of(table) == [row for archive in archives[:4] for row in rows_of(archive.bars())]
    keys = table.select(["symbol", "timeframe", "session", "adjustment"]).to_pylist()
    assert [tuple(row.values()) for row in keys[::100]] == [
        ("NASDAQ:AAPL", "15", "regular", "splits"),
        ("NASDAQ:AAPL", "1h", "extended", "splits"),
        ("NASDAQ:AAPL", "1h", "regular", "splits"),
        ("NASDAQ:MSFT", "1h", "regular", "splits"),
    ]
    forming = [row for row, is_final in enumerate(table["is_final"].to_pylist()) if not is_final]
    assert forming == [199]
    assert pq.read_table(tmp_path / "table/sample/bars-000.parquet").num_rows == 100


def test_a_large_table_has_several_files_and_groups(
    archives: list[Archive], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_export, "ROWS_PER_GROUP", 70)
    monkeypatch.setattr(table_export, "GROUPS_PER_FILE", 2)

    export(tmp_path)

    files = sorted((tmp_path / "tradingview").iterdir())
    groups = [
        [file.row_group(number).num_rows for number in range(file.num_row_groups)]
        for file in map(pq.read_metadata, files)
    ]
    assert groups == [[70, 70], [70, 70], [70, 50]]
    table = pa.concat_tables(map(pq.read_table, files))
    assert rows_of(table) == [row for archive in archives[:4] for row in rows_of(archive.bars())]


def test_a_smaller_export_replaces_all_files_of_a_larger_one(
    archives: list[Archive], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table_export, "ROWS_PER_GROUP", 70)
    monkeypatch.setattr(table_export, "GROUPS_PER_FILE", 2)
    export(tmp_path)

    export(tmp_path, "NASDAQ:MSFT", "-t", "1h")

    (path,) = (tmp_path / "tradingview").iterdir()
    assert rows_of(pq.read_table(path)) == rows_of(archives[3].bars())


def test_a_damaged_archive_is_named_and_the_others_are_exported(
    archives: list[Archive], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (archives[0].folder.path / "2024.parquet").unlink()

    with pytest.raises(SystemExit):
        export(tmp_path)

    assert "NASDAQ:AAPL 15m: 2024.parquet " in capsys.readouterr().err
    assert pq.read_table(tmp_path / "tradingview/bars-000.parquet").num_rows == 300


def test_a_wrong_option_is_named(archives: list[Archive], tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="leave out --format"):
        export(tmp_path, "--format=csv")
    with pytest.raises(CommandError, match="no series NASDAQ:TSLA"):
        export(tmp_path, "NASDAQ:TSLA")
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandError, match="cannot be written to"):
        export(tmp_path / "file")
