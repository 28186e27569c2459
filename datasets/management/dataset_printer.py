"""The output of `manage.py datasets`, as text or as JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from django.core.management.base import OutputWrapper
from rich.table import Column, Table

from datasets.bars import KEY_FIELDS, Timeframe
from datasets.catalog import Finding
from datasets.management.console import open_console
from datasets.models import Dataset, Series

_ROWS_A_TABLE = 1_000
_COLUMNS = ("id", "full_symbol", "timeframe", "count", "last_time", "bytes", "state")
# The columns that `as_row` reads.
ROW_COLUMNS = (
    *KEY_FIELDS, "n_rows", "first_time", "last_time", "fetched_at", "bytes", "state", "path", "content_hash",
)  # fmt: skip
_DETAILS = (
    "last_bar_final", "is_limited", "is_pinned", "hits", "last_served_at", "n_duplicates", "n_inconsistent",
    "zero_volume_share", "largest_gap_s", "doubts", "tvdatafeed_version", "instrument",
)  # fmt: skip


class DatasetPrinter:
    """Prints results to `stdout` and refusals to `stderr`; with `as_json` each result is a document."""

    def __init__(self, stdout: OutputWrapper, stderr: OutputWrapper, *, as_json: bool) -> None:
        self._stdout = stdout
        self._stderr = stderr
        self._as_json = as_json

    def print_list(self, datasets: Iterable[Dataset]) -> None:
        """Print a table of datasets, a line each, while they are read."""
        if self._as_json:
            self._print_rows(as_row(dataset) for dataset in datasets)
            return
        number, console, rest = 0, open_console(), iter(datasets)
        while (page := list(islice(rest, _ROWS_A_TABLE))) or not number:
            # A table measures all its rows, so a long list is several tables below one another.
            table = Table(
                *(Column(name, overflow="fold") for name in _COLUMNS), show_header=not number
            )
            for row in map(as_row, page):
                row["last_time"] = f"{datetime.fromisoformat(row['last_time']):%Y-%m-%d %H:%M}"
                row["timeframe"] = Timeframe(row["timeframe"]).label
                table.add_row(*(str(row[name]) for name in _COLUMNS))
            console.print(table)
            number += len(page)
            if len(page) < _ROWS_A_TABLE:
                break
        self._stdout.write(count_of(number))

    def print_details(self, datasets: Iterable[Dataset]) -> None:
        """Print all columns of each dataset."""
        rows = (as_row(dataset) | as_details(dataset) for dataset in datasets)
        if self._as_json:
            self._print_rows(rows)
            return
        for row in rows:
            # Plain lines: a table would break hashes and paths at the terminal's width.
            for name, value in row.items():
                text = json.dumps(value) if isinstance(value, dict) else value
                self._stdout.write(f"{name:20}{text}")
            self._stdout.write("")

    def print_findings(self, findings: Iterable[Finding]) -> Counter[str]:
        """Print each finding when it comes, then the number by outcome; return these numbers.

        The text leaves out the findings that are `ok`.
        """
        counts: Counter[str] = Counter()

        def counted() -> Iterator[Finding]:
            for finding in findings:
                counts[finding.outcome] += 1
                yield finding

        if self._as_json:
            self._stdout.write('{"findings": ', ending="")
            self._print_rows(
                {"path": f.path, "outcome": f.outcome, "detail": f.detail} for f in counted()
            )
            self._stdout.write(f', "counts": {json.dumps(counts)}}}')
            return counts
        for finding in counted():
            if finding.outcome != "ok":
                self._stdout.write(f"{finding.outcome}: {finding.path} {finding.detail}".rstrip())
                self._stdout.flush()
        summary = ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items()))
        self._stdout.write(summary or "There are no datasets.")
        return counts

    def print_gaps(self, reports: Iterable[tuple[Dataset, dict[str, Any]]]) -> None:
        """Print the gap report of each dataset when it comes: the counts, and a line for each finding."""
        if self._as_json:
            self._print_rows(as_row(dataset) | {"gaps": report} for dataset, report in reports)
            return
        number = 0
        for dataset, report in reports:
            number += 1
            if report["why_unknown"]:
                self._stdout.write(f"{dataset}: no report. {report['why_unknown']}")
                continue
            counts = ", ".join(f"{count:,} {kind}" for kind, count in report["counts"].items())
            share = f"{report['held']:,} of {report['expected']:,} expected bars"
            self._stdout.write(f"{dataset}: {share}{', ' if counts else ''}{counts}")
            for finding in report["findings"]:
                start, end = (
                    f"{finding[name][:16].replace('T', ' ')}" for name in ("start", "end")
                )
                line = f"  {finding['kind']}: {start} to {end} UTC, {count_of_bars(finding)}."
                self._stdout.write(f"{line} {finding['reason']}")
        self._stdout.write(count_of(number))

    def print_lock(self, lock: str, n_locked: int, changes: list[str]) -> None:
        """Print the changes since a lock file was written."""
        if self._as_json:
            self._print_json({"lock": lock, "n_locked": n_locked, "changes": changes})
            return
        for sentence in changes:
            self._stdout.write(sentence)
        self._stdout.write(f"{n_locked} locked, {len(changes)} changed.")

    def print_done(self, sentence: str, datasets: Iterable[Dataset]) -> None:
        """Print a sentence; as JSON, print the datasets instead."""
        if self._as_json:
            self._print_rows(as_row(dataset) for dataset in datasets)
        else:
            self._stdout.write(sentence)

    def print_each(
        self, datasets: Iterable[Dataset], sentence_of: Callable[[int, int], str]
    ) -> int:
        """Print the sentence for the number and the bytes of the datasets; return the number.

        As JSON, print each dataset as it comes instead. No dataset stays in memory.
        """
        number = size = 0

        def counted() -> Iterator[Dataset]:
            nonlocal number, size
            for dataset in datasets:
                number, size = number + 1, size + dataset.bytes
                yield dataset

        if self._as_json:
            self._print_rows(as_row(dataset) for dataset in counted())
            return number
        for _ in counted():
            pass
        self._stdout.write(sentence_of(number, size))
        return number

    def print_series(self, sentence: str, series: Iterable[Series]) -> None:
        """Print a sentence; as JSON, print the keys of the series instead."""
        if self._as_json:
            self._print_json([each.series_key.as_dict() for each in series])
        else:
            self._stdout.write(sentence)

    def print_refusal(self, row: Dataset | Series, error: Exception) -> None:
        """Print the reason why an action was not done to a dataset or a series."""
        self._stderr.write(f"{row}: {error}")

    def print_progress(self, sentence: str) -> None:
        """Print how far a long action has come, beside its results."""
        self._stderr.write(sentence)

    def _print_rows(self, rows: Iterable[dict[str, Any]]) -> None:
        """Print a JSON list while its rows are made, a line each."""
        separator = "["
        for row in rows:
            self._stdout.write(f"{separator}\n {json.dumps(row)}", ending="")
            separator = ","
        self._stdout.write("[]" if separator == "[" else "\n]")

    def _print_json(self, document: object) -> None:
        self._stdout.write(json.dumps(document, indent=1))


def count_of_bars(finding: dict[str, Any]) -> str:
    """Return `1 bar`, `2 bars` and so on."""
    return f"{finding['n_bars']:,} {'bar' if finding['n_bars'] == 1 else 'bars'}"


def count_of(number: int) -> str:
    """Return `1 dataset`, `2 datasets` and so on."""
    return f"{number} {'dataset' if number == 1 else 'datasets'}"


def as_row(dataset: Dataset) -> dict[str, Any]:
    """Return the main columns of a dataset as plain values; times in ISO 8601, UTC."""
    key = dataset.key
    return {
        "id": dataset.pk,
        "full_symbol": key.full_symbol,
        **key.as_dict(),
        "count": dataset.n_rows,
        "first_time": dataset.first_time.isoformat(),
        "last_time": dataset.last_time.isoformat(),
        "fetched_at": dataset.fetched_at.isoformat(),
        "bytes": dataset.bytes,
        "state": dataset.state,
        "path": dataset.path,
        "content_hash": dataset.content_hash,
    }


def as_details(dataset: Dataset) -> dict[str, Any]:
    """Return the other columns of a dataset as plain values."""
    details = {name: getattr(dataset, name) for name in _DETAILS}
    if dataset.last_served_at is not None:
        details["last_served_at"] = dataset.last_served_at.isoformat()
    return details
