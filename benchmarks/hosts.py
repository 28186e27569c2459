"""Part 13: faults of each part of an installation on many hosts, under load.

The part `bucket` is an S3 server (SeaweedFS) of a second installation, which keeps its files there.

Two web hosts, three workers, PostgreSQL behind PgBouncer, Redis and RabbitMQ, each on a host of its
own: a network namespace, so root is needed for cables that can be pulled. `HOST_PARTS="worker 1"`
and `HOST_FAULTS="kill stop"` choose some; all take a quarter of an hour.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

from benchmarks.measurement import machine, publish, table
from tests.support.many_hosts import Cluster, many_hosts
from tests.support.many_hosts.faults import FAULTS, SHARED_FOLDER, Outcome, try_fault
from tests.support.many_hosts.load import Load

CAPTION = """
Two web hosts, three workers, and one host for each other part. A fault lasts 18 s, longer than a lease; `restart`
ends and starts the part. Four readers of one cached dataset and a client that requests a new fetch every 0.25 s go on
all the time. *Lost*: accepted and without a dataset at the end. *Stuck*: not ended a minute later. *Calls again*: of
a fetch that died in the middle. *Double calls*: that no attempt explains; an attempt that a missing part ended is not
counted, so a disk that goes away between the call and the write shows here. *Refused*: the client then tried the
other web host. *Readers' pause*: longest time without a 200 for a reader that may use any web host, and on the worse
host.
""".strip()
BUCKET_CAPTION = """
The same, with the files in a bucket of an S3 server (SeaweedFS) on a host of its own; the version of an object is
trusted for 10 s. A fetch whose call was made while the bucket was away is called again when the bucket is back.
SeaweedFS takes some seconds to start: up to 20 s on this busy machine.
""".strip()
BUCKET = "bucket"
PARTS = f"web 1,worker 1,PostgreSQL,PgBouncer,Redis,RabbitMQ,shared folder,{BUCKET}"


def main() -> None:
    parts = [name for name in os.environ.get("HOST_PARTS", PARTS).split(",") if name]
    if others := [name for name in parts if name != BUCKET]:
        with many_hosts(find, TV_RATE_PER_MINUTE="1200", TV_BURST="20") as cluster:
            outcomes = try_parts(cluster, others)
            costs = host_costs(cluster)
        publish("Many hosts", f"{machine()}\n\n{CAPTION}\n\n{report(outcomes)}")
        publish("Cost of a host", f"{machine()}; under the load of the table above\n\n{costs}")
    if BUCKET in parts:
        with many_hosts(find, TV_RATE_PER_MINUTE="1200", TV_BURST="20", has_bucket=True) as cluster:
            outcomes = try_parts(cluster, [BUCKET])
        publish("Many hosts and a bucket", f"{machine()}\n\n{BUCKET_CAPTION}\n\n{report(outcomes)}")


def try_parts(cluster: Cluster, parts: list[str]) -> list[Outcome]:
    """Return the outcome of each fault of each part."""
    outcomes: list[Outcome] = []
    for part in parts:
        for fault in os.environ.get("HOST_FAULTS", " ".join(FAULTS)).split():
            if _can(cluster, part, fault):
                outcomes.append(try_fault(cluster, part, fault, number=len(outcomes) + 1))
                print(outcomes[-1], flush=True)
    return outcomes


def _can(cluster: Cluster, part: str, fault: str) -> bool:
    if part == SHARED_FOLDER:
        return fault == "cut"
    return fault != "cut" or bool(cluster.part(part).host.cable)


def host_costs(cluster: Cluster) -> str:
    """Return the memory and the connections of a web host and a worker under load, as a table."""
    cluster.get(0, "ohlc", symbol="LOAD:CACHED", n_bars=300).raise_for_status()
    rows = []
    with Load(cluster.web_urls, {"symbol": "LOAD:CACHED", "n_bars": "300"}, "COST"):
        time.sleep(20)
        for name in ("web 1", "worker 1"):
            part = cluster.part(name)
            rows.append(
                [name, f"{part.memory_mb():.0f}", f"{part.n_connections(cluster.pooled_port)}"]
            )
        (n_server,) = cluster.query(
            "SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
        )[0]
    rows.append(["PostgreSQL: all hosts, through PgBouncer", "", f"{n_server}"])
    return table(["part", "memory (PSS), MB", "database connections"], rows)


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
    debian = [
        str(Path(sys.executable).parent),
        "/usr/sbin",
        *map(str, Path("/usr/lib/postgresql").glob("*/bin")),
    ]
    program = shutil.which(name, path=os.pathsep.join([os.environ["PATH"], *debian]))
    if program is None:
        raise SystemExit(f"{name} is needed on this machine.")
    return program


def _in_words(readers: dict[str, int]) -> str:
    return ", ".join(f"{n:,} × {status}" for status, n in sorted(readers.items()))


if __name__ == "__main__":
    main()
