"""Part 15: a catalog of a million datasets in PostgreSQL: each list, search and page, and `datasets list --json`.

`BENCH_MILLION=20000` makes a smaller one, which takes two minutes; a million rows are filled in half an hour
and need 3 GB of disk. `BENCH_ROUNDS` is the number of measured requests of each address.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import psycopg

from benchmarks.measurement import machine, publish, table
from tests.support.servers import postgresql

NUMBER = int(os.environ.get("BENCH_MILLION", "1000000"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "9"))
GOAL_MS = 100
_SQL = Path(__file__).with_name("million.sql")


def need(program: str) -> str:
    """Return the path of a program; end with a sentence where it is not installed."""
    return shutil.which(program) or sys.exit(f"{program} is not installed; install PostgreSQL.")


def fill(url: str) -> None:
    """Let the server make the rows."""
    with psycopg.connect(url) as connection:
        connection.execute(re.sub(r"(?<!:):n\b", str(NUMBER), _SQL.read_text()).encode())


def measure() -> None:
    """Print a line for each address: median, longest; runs in its own process with the settings in the environment."""
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.test import Client

    from benchmarks.million_pages import addresses, last_pages, times_ms

    client = Client(SERVER_NAME="localhost")
    client.force_login(User.objects.create_superuser("ada"))
    for address in [*addresses(), *last_pages(client)]:
        taken = times_ms(client, address, ROUNDS)
        sys.stdout.write(f"{address}\t{median(taken):.0f}\t{taken[-1]:.0f}\n")
        sys.stdout.flush()


def run(*arguments: str, env: dict[str, str]) -> str:
    """Run a Python program with these settings; return its output."""
    return subprocess.run(
        [sys.executable, *arguments], env=env, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def list_all(env: dict[str, str]) -> str:
    """Return time and memory of `datasets list --json` in a sentence."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as printed:
        command = [sys.executable, "manage.py", "datasets", "list", "--json"]
        process = subprocess.Popen(command, env=env, stdout=printed)
        _, status, used = os.wait4(process.pid, 0)
        assert status == 0
        size = printed.tell() or os.fstat(printed.fileno()).st_size
    return (
        f"`datasets list --json`: {time.monotonic() - started:.1f} s, of them {used.ru_utime + used.ru_stime:.1f} s of "
        f"the processor; {used.ru_maxrss / 1024:.0f} MB of memory for {size / 1e6:,.0f} MB of text."
    )


def report(printed: str, of_list: str) -> str:
    """Return the section's text: what is above the goal, then all addresses."""
    rows = [line.split("\t") for line in printed.splitlines()]
    slow = [row for row in rows if int(row[1]) > GOAL_MS]
    found = median(int(row[1]) for row in rows)
    load = f"load of the machine {os.getloadavg()[2]:.0f} during the last quarter of an hour"
    return (
        f"{machine()}; {NUMBER:,} datasets and fetches in PostgreSQL, {NUMBER // 10:,} series; median of {ROUNDS}, without the "
        f"web server; {load}\n\n{of_list}\n\nOf {len(rows)} addresses {len(slow)} have a median above {GOAL_MS} ms; "
        f"the median of all is {found:.0f} ms.\n\n"
        + table(["address", "ms", "longest, ms"], [[f"`{row[0]}`", *row[1:]] for row in rows])
    )


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, postgresql(need) as url:
        env = os.environ | {
            "DJANGO_SETTINGS_MODULE": "tvproject.settings",
            "DATABASE_URL": url,
            "OUTPUTS_URL": str(Path(folder) / "outputs"),
            "TV_SOURCE": "tradingview",
        }
        run("manage.py", "migrate", "-v0", env=env)
        started = time.monotonic()
        fill(url)
        print(f"{NUMBER:,} rows in {time.monotonic() - started:.0f} s", flush=True)
        measured(env)


def measured(env: dict[str, str]) -> None:
    """Measure with the database in `env`, and publish the section."""
    printed = run("-m", "benchmarks.million", "measure", env=env)
    publish("Million", report(printed, list_all(env)))


if __name__ == "__main__":
    measure() if sys.argv[1:] == ["measure"] else main()
