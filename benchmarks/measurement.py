"""Tools of all benchmarks: alternating runs, medians, tables, the page of results."""

from __future__ import annotations

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from textwrap import fill

RESULTS = Path(__file__).parents[1] / "docs" / "benchmarks.md"


def medians_ms(
    runs: Mapping[str, Callable[[], object]], *, rounds: int, warm_up: int = 2
) -> dict[str, float]:
    """Return each run's median in milliseconds; the runs alternate, so that all meet the same noise."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + warm_up):
        for name, run in runs.items():
            gc.collect()
            started = time.perf_counter()
            run()
            if number >= warm_up:
                taken[name].append((time.perf_counter() - started) * 1000)
    return {name: statistics.median(values) for name, values in taken.items()}


def table(headings: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [headings, ["---"] * len(headings), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def machine() -> str:
    """Return the machine, the Python version and the date of the measurement."""
    cpu = next(
        (
            line.split(":")[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return f"{os.cpu_count()} cores, {cpu}, Python {platform.python_version()}, {datetime.now(UTC):%Y-%m-%d}"


def publish(section: str, text: str) -> None:
    """Print a section and write it into docs/benchmarks.md, in place of its earlier text; long lines are wrapped."""
    text = "\n".join(
        line
        if line.startswith("|")
        else fill(line, 120, break_long_words=False, break_on_hyphens=False)
        for line in text.split("\n")
    )
    print(f"\n## {section}\n\n{text}\n")
    begin, end = f"<!-- begin {section} -->", f"<!-- end {section} -->"
    page = RESULTS.read_text() if RESULTS.exists() else "# Benchmarks\n\nWritten by `make bench`.\n"
    block = f"{begin}\n## {section}\n\n{text}\n\n{end}"
    if begin in page:
        before, _, rest = page.partition(begin)
        page = before + block + rest.partition(end)[2]
    else:
        page = f"{page.rstrip()}\n\n{block}\n"
    RESULTS.write_text(page)
