"""Faults of one part under load, and what came of them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from tests.support.many_hosts.cluster import Cluster
from tests.support.many_hosts.load import Load
from tests.support.many_hosts.parts import Part

FAULTS = ("kill", "stop", "cut", "restart")
# Seconds before the fault, of the fault, and after it. The fault lasts longer than a lease.
BEFORE_S, DURING_S, AFTER_S = 3.0, 18.0, 5.0
# Every accepted fetch must have ended this long after the end of the load.
DRAIN_S = 60.0
# No program: only its disk can be cut.
SHARED_FOLDER = "shared folder"
_CACHED = {"symbol": "LOAD:CACHED", "n_bars": "300"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one fault of one part; all counts are of the fetches that the load requested.

    Parameters
    ----------
    n_accepted, n_lost, n_stuck
        Fetches that the API accepted; those without a dataset at the end; those that have not ended.
    n_again, n_double
        Calls to the feed beyond the first of each fetch; those of them that no attempt of the row explains.
    pause_s
        The longest time between two calls to the feed.
    n_refused
        Requests of a fetch that got no 2xx; the client then tried the other host.
    readers
        Replies by status, over all web hosts.
    reader_pause_s, host_pause_s
        The longest time without a 200: of a reader that may use any host, and of the worse host.
    """

    part: str
    fault: str
    n_accepted: int
    n_lost: int
    n_stuck: int
    n_again: int
    n_double: int
    pause_s: float
    n_refused: int
    readers: dict[str, int]
    reader_pause_s: float
    host_pause_s: float


def try_fault(cluster: Cluster, name: str, fault: str, *, number: int) -> Outcome:
    """Do one fault to one part under load, wait for the end of all fetches, and count."""
    cluster.get(0, "ohlc", **_CACHED).raise_for_status()
    cluster.feed.reset()
    # Each answer takes about a second, so that a fault finds fetches in the middle.
    cluster.feed.arm("slow_good", seconds=0.2)
    part = None if name == SHARED_FOLDER else cluster.part(name)
    began = datetime.now(UTC).timestamp()
    with Load(cluster.web_urls, _CACHED, f"N{number}X") as load:
        time.sleep(BEFORE_S)
        with _fault(part, fault) if part else _without_disk(cluster):
            time.sleep(DURING_S if fault != "restart" else 0)
        if part is not None:
            part.wait()
        time.sleep(AFTER_S)
    _drain(cluster, load)
    return _outcome(cluster, load, name, fault, began)


@contextmanager
def _without_disk(cluster: Cluster) -> Iterator[None]:
    """Take the disk with the datasets away inside the block."""
    cluster.disk.cut()
    try:
        yield
    finally:
        cluster.disk.join()


@contextmanager
def _fault(part: Part, fault: str) -> Iterator[None]:
    """Do the fault, and undo it at the end of the block."""
    match fault:
        case "kill":
            part.kill()
        case "stop":
            part.freeze()
        case "cut":
            part.host.cut()
        case "restart":
            part.end()
    try:
        yield
    finally:
        match fault:
            case "kill" | "restart":
                part.start(wait=False)
            case "stop":
                part.thaw()
            case "cut":
                part.host.join()


def _rows(cluster: Cluster, load: Load) -> dict[str, tuple[str, int]]:
    """Return state and attempts of each accepted fetch, by its symbol; a missing row is left out."""
    ids = ",".join(map(str, load.accepted.values())) or "0"
    found = cluster.query(f"SELECT id, state, attempts FROM datasets_fetch WHERE id IN ({ids})")
    rows = {pk: (state, attempts) for pk, state, attempts in found}
    return {symbol: rows[pk] for symbol, pk in load.accepted.items() if pk in rows}


def _drain(cluster: Cluster, load: Load) -> None:
    deadline = time.monotonic() + DRAIN_S
    while time.monotonic() < deadline:
        states = [state for state, _ in _rows(cluster, load).values()]
        if not {"queued", "running"} & set(states):
            return
        time.sleep(0.2)


def _outcome(cluster: Cluster, load: Load, name: str, fault: str, began: float) -> Outcome:
    rows, stats = _rows(cluster, load), cluster.feed.stats()
    calls = {symbol: stats["symbols"].get(symbol, 0) for symbol in load.accepted}
    at = [began, *(each for each in sorted(stats["create_series_at"]) if each > began)]
    readers: dict[str, int] = {}
    for seen in load.seen:
        for status, n in seen.statuses.items():
            readers[status] = readers.get(status, 0) + n
    return Outcome(
        part=name,
        fault=fault,
        n_accepted=len(load.accepted),
        n_lost=sum(rows.get(symbol, ("gone", 0))[0] != "succeeded" for symbol in load.accepted),
        n_stuck=sum(state in ("queued", "running") for state, _ in rows.values()),
        n_again=sum(max(0, n - 1) for n in calls.values()),
        n_double=sum(max(0, calls[symbol] - rows[symbol][1]) for symbol in rows),
        pause_s=max((b - a for a, b in zip(at, at[1:], strict=False)), default=0.0),
        n_refused=load.n_refused,
        readers=readers,
        reader_pause_s=load.longest_pause_s,
        host_pause_s=max(seen.longest_pause_s for seen in load.seen),
    )
