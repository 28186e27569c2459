"""Part 3: the admin's pages with 100,000 datasets: how long each takes, and how many queries."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

from benchmarks.measurement import machine, medians_ms, publish, table

# At least 5,000, because the list's hundredth page is measured too.
NUMBER = int(os.environ.get("BENCH_DATASETS", "100000"))
ROUNDS = 7
LIST = "/admin/datasets/dataset/"
# The operator's uses of the list: view, search, filter, order, page.
QUERIES = [
    "", "?q=x99", "?q=nothinglikeit", "?state__exact=ready", "?state__exact=corrupt",
    "?source__exact=sample", "?timeframe__exact=1h", "?session__exact=regular", "?adjustment__exact=splits",
    "?is_pinned__exact=1", "?exchange=LOAD7", "?p=2", "?p=100",
    *(f"?o={sign}{number}" for number in range(1, 9) for sign in ("", "-")),
]  # fmt: skip


def grow(number: int) -> int:
    """Add `number` datasets to the catalog, all but one without a file; return the primary key of that one."""
    from datasets.bars import Timeframe
    from datasets.catalog import outputs, records
    from datasets.models import Dataset
    from tests.support.factories import a_key, bars_table, fetched_bars

    key = a_key(exchange="LOAD", symbol="B300", n_bars=300)
    stored = outputs.get_store().write(key, fetched_bars(bars_table(300)))
    template = records.record(stored)
    names = [field.name for field in Dataset._meta.fields if field.name != "id"]
    timeframes = [timeframe.value for timeframe in Timeframe]
    rows = []
    for index in range(number - 1):
        row = Dataset(**{name: getattr(template, name) for name in names})
        row.exchange, row.symbol = f"LOAD{index % 60}", f"X{index}"
        row.timeframe = timeframes[index % len(timeframes)]
        row.state = "corrupt" if index % 100 == 0 else "ready"
        row.bytes, row.n_rows = template.bytes + index * 7919 % 50_000, 1 + index * 104_729 % 5_000
        row.fetched_at = template.fetched_at - timedelta(seconds=index * 31)
        row.path = f"sample/{row.exchange}_{row.symbol}_{row.timeframe}_300.parquet"
        rows.append(row)
    Dataset.objects.bulk_create(rows, batch_size=500)
    return int(Dataset.objects.only("pk").get(symbol="B300").pk)


def measure() -> None:
    """Print a row for each page; runs in its own process with the settings in the environment."""
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection
    from django.test import Client
    from django.test.utils import CaptureQueriesContext

    call_command("migrate", verbosity=0)
    pk = grow(NUMBER)
    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.create_superuser("ada"))
    pages = {"start page": "/admin/", "one dataset": f"{LIST}{pk}/change/"}
    pages |= {f"list {query}".strip(): LIST + query for query in QUERIES}

    def get(path: str) -> None:
        status = client.get(path).status_code
        # Django answers an unknown filter with a redirect, which would look quick.
        assert status == 200, (path, status)

    taken = medians_ms(
        {name: lambda path=path: get(path) for name, path in pages.items()},  # type: ignore[misc]
        rounds=ROUNDS,
        warm_up=1,
    )
    for name, path in pages.items():
        with CaptureQueriesContext(connection) as captured:
            get(path)
        sys.stdout.write(f"{name}\t{taken[name]:.0f}\t{len(captured)}\n")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tvproject.settings",
            "OUTPUTS_URL": str(Path(folder) / "outputs"),
            "TV_SOURCE": "sample",
        }
        printed = subprocess.run(
            [sys.executable, "-m", "benchmarks.catalog", "measure"],
            env=env, check=True, stdout=subprocess.PIPE, text=True,
        ).stdout  # fmt: skip
    rows = [line.split("\t") for line in printed.splitlines()]
    rows = [[f"`{name}`" if "?" in name else name, ms, n] for name, ms, n in rows]
    database = (
        "PostgreSQL" if os.environ.get("DATABASE_URL", "").startswith("postgres") else "SQLite"
    )
    publish(
        "Catalog",
        f"{machine()}; {NUMBER:,} datasets in {database}, median of {ROUNDS} in turns, without the web server\n\n"
        + table(["page of the admin", "ms", "queries"], rows),
    )


if __name__ == "__main__":
    measure() if sys.argv[1:] == ["measure"] else main()
