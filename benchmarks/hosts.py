"""Part 13: faults of each part of an installation on many hosts, under load.

Two web hosts, three workers, PostgreSQL behind PgBouncer, Redis and RabbitMQ, each on a host of its
own: a network namespace, so root is needed for cables that can be pulled. `HOST_PARTS="worker 1"`
and `HOST_FAULTS="kill stop"` choose some.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from benchmarks.measurement import machine, publish, table
from tests.support.many_hosts import many_hosts
from tests.support.many_hosts.faults import FAULTS, Outcome, try_fault

PARTS = "web 1,worker 1,PostgreSQL,PgBouncer,Redis,RabbitMQ"


def main() -> None:
    parts = os.environ.get("HOST_PARTS", PARTS).split(",")
    faults = os.environ.get("HOST_FAULTS", " ".join(FAULTS)).split()
    outcomes: list[Outcome] = []
    with many_hosts(find, TV_RATE_PER_MINUTE="1200", TV_BURST="20") as cluster:
        for part in parts:
            for fault in faults:
                if fault == "cut" and not cluster.part(part).host.cable:
                    continue
                outcomes.append(try_fault(cluster, part, fault, number=len(outcomes) + 1))
                print(outcomes[-1], flush=True)
    publish("Many hosts", f"{machine()}\n\n{report(outcomes)}")


def report(outcomes: list[Outcome]) -> str:
    """Return the table of parts and faults."""
    rows = [
        [
            each.part, each.fault, f"{each.n_accepted}", f"{each.n_lost}", f"{each.n_stuck}", f"{each.n_again}",
            f"{each.n_double}", f"{each.pause_s:.1f}", f"{each.n_refused}", _in_words(each.readers),
            f"{each.reader_pause_s:.1f}", f"{each.host_pause_s:.1f}",
        ]
        for each in outcomes
    ]  # fmt: skip
    headings = [
        "part", "fault", "fetches", "**lost**", "**stuck**", "calls again", "**double calls**", "pause of calls, s",
        "refused", "readers' replies", "readers' pause, s", "of one host, s",
    ]  # fmt: skip
    return table(headings, rows)


def find(name: str) -> str:
    """Return the path of a program."""
    debian = ["/usr/sbin", *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]
    program = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *debian]))
    if program is None:
        raise SystemExit(f"{name} is needed on this machine.")
    return program


def _in_words(readers: dict[str, int]) -> str:
    return ", ".join(f"{n:,} × {status}" for status, n in sorted(readers.items()))


if __name__ == "__main__":
    main()
