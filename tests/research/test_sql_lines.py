"""The archive as one table: the lines of docs/sql.md, run as they stand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from datasets.archive.series_rows import adopt_series
from datasets.bars import BAR_COLUMNS
from datasets.catalog import catalog_table
from tests.support.archives import Archive, Row, changed, plain_bars, rows_of, scaled
from tests.support.sql_lines import run_lines
from tests.support.study_files import require

KEYED_COLUMNS = ["symbol", "timeframe", *BAR_COLUMNS]


@pytest.fixture
def held(own_outputs: Path, monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], list[Row]]:
    """Fill an archive with all that could stand twice; return the bars of the usual series."""
    # The lines of the page name `outputs/…`.
    monkeypatch.chdir(own_outputs.parent)
    root = own_outputs / "archive"
    apple = Archive(root, source="tradingview")
    apple.merge(plain_bars(range(100)))
    apple.merge(changed(plain_bars(range(100)), 50, volume=7.0))
    apple.merge(scaled(plain_bars(range(100)), 0.25))
    daily = Archive(root, source="tradingview", timeframe="1D")
    days = range(0, 24 * 60, 24)
    daily.merge(plain_bars(days))
    microsoft = Archive(root, source="tradingview", symbol="MSFT")
    microsoft.merge(plain_bars(range(80), level=300))
    minutes = Archive(root, source="tradingview", symbol="ES1!", exchange="CME_MINI", timeframe="1")
    minutes.merge(plain_bars(range(70), level=50))
    others: list[dict[str, Any]] = [
        {"session": "extended"},
        {"adjustment": "dividends"},
        {"adjustment": "none"},
    ]
    for other in others:
        Archive(root, source="tradingview", **other).merge(plain_bars(range(100)))
    Archive(root, source="imported").merge(plain_bars(range(100)))
    usual = (apple, daily, microsoft, minutes)
    return {
        (each.key.full_symbol, each.key.timeframe.value): rows_of(each.bars()) for each in usual
    }


def by_series(rows: list[dict[str, Any]]) -> dict[tuple[str, str], list[Row]]:
    """Return the bars of each series in the order of time."""
    found: dict[tuple[str, str], list[Row]] = {}
    for row in sorted(rows, key=lambda row: row["time"]):
        key = (row["symbol"], row["timeframe"])
        found.setdefault(key, []).append(tuple(row[name] for name in BAR_COLUMNS))
    return found


def test_duckdb_reads_each_bar_once(held: Any) -> None:
    require("duckdb")

    names = run_lines("DuckDB")

    assert by_series(names["bars"].to_arrow_table().to_pylist()) == held
    days = names["days"].fetchall()
    assert days[0][:2] == ("NASDAQ:AAPL", days[0][1])
    assert len({row[0] for row in days}) == 2


def test_polars_reads_each_bar_once(held: Any) -> None:
    require("polars")

    names = run_lines("polars")

    assert by_series(names["bars"].collect().to_arrow().to_pylist()) == held
    assert len(names["last"]) == len(held)


@pytest.mark.django_db
def test_the_catalog_joins_the_archive(held: Any) -> None:
    require("duckdb")
    assert {finding.outcome for finding in adopt_series()} == {"adopted"}
    assert catalog_table.write_if_changed()

    names = run_lines("The catalog")

    rows = names["closes"].fetchall()
    assert len(rows) == sum(map(len, held.values()))
    assert {row[0] for row in rows} == {"USD"}
