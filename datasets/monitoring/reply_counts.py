"""Counters of replies and their times, in each web process, shared by small files.

A scrape reaches one of several web processes. Each process writes its counts to a file of its
own in `STATE_DIR/metrics/` every few seconds, and a scrape reads all of these files.
"""

from __future__ import annotations

import bisect
import logging
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings

logger = logging.getLogger(__name__)

# Upper bounds of the buckets, in seconds; a cached read takes less than a millisecond.
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_EVERY_S = 5.0
# The file of a process that has ended is older than this.
_GONE_AFTER_S = 60.0


@dataclass(slots=True)
class ReplyTimes:
    """Replies of one kind and status: their number in each bucket, and the sum of their times."""

    numbers: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    sum_s: float = 0.0


@dataclass(slots=True)
class ProcessCounts:
    """The counts of one process: times by kind and status, and replies with bars by their source."""

    times: dict[tuple[str, str], ReplyTimes] = field(default_factory=dict)
    bars: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> bytes:
        """Return the counts as JSON."""
        times = [[*key, each.numbers, each.sum_s] for key, each in self.times.items()]
        return orjson.dumps({"times": times, "bars": dict(self.bars)})

    @classmethod
    def from_json(cls, text: bytes) -> ProcessCounts:
        """Read `as_json`. Raises `ValueError`, `KeyError` or `TypeError` for another text."""
        values: dict[str, Any] = orjson.loads(text)
        times = {(kind, status): ReplyTimes(*rest) for kind, status, *rest in values["times"]}
        return cls(times, Counter(values["bars"]))


class ReplyCounts:
    """The counts of this process, and the file through which other processes read them."""

    def __init__(self) -> None:
        self._counts = ProcessCounts()
        self._lock = threading.Lock()
        self._writer: threading.Thread | None = None

    def count(self, kind: str, status: int, seconds: float, bars: str = "") -> None:
        """Count one reply; `bars` is the source of its bars, "" where it has none."""
        key = (kind, f"{status // 100}xx")
        with self._lock:
            times = self._counts.times.get(key)
            if times is None:
                times = self._counts.times[key] = ReplyTimes()
            times.numbers[bisect.bisect_left(BOUNDS_S, seconds)] += 1
            times.sum_s += seconds
            if bars:
                self._counts.bars[bars] += 1

    def start(self) -> None:
        """Write the counts regularly from now on; the file is removed when the process ends."""
        if self._writer is None:
            self._writer = threading.Thread(target=self._write_on, name="metrics", daemon=True)
            self._writer.start()
            Finalize(None, lambda: self._path.unlink(missing_ok=True), exitpriority=0)

    def write(self) -> None:
        """Write this process's counts to its file."""
        path = self._path
        with self._lock:
            text = self._counts.as_json()
        try:
            path.parent.mkdir(mode=0o700, exist_ok=True)
            temporary = path.with_suffix(".tmp")
            temporary.write_bytes(text)
            temporary.replace(path)
        except OSError as error:
            logger.warning("the counts of replies were not written: %s", error)

    def of_all_processes(self) -> Iterator[tuple[str, ProcessCounts]]:
        """Yield the name and the counts of each web process of this machine, this one up to date."""
        self.write()
        for path in sorted(self._path.parent.glob("*.json")):
            try:
                if time.time() - path.stat().st_mtime > _GONE_AFTER_S:
                    path.unlink(missing_ok=True)
                    continue
                yield path.stem, ProcessCounts.from_json(path.read_bytes())
            except (OSError, ValueError, KeyError, TypeError) as error:
                logger.warning("the counts of the process %s were not read: %s", path.stem, error)

    @property
    def _path(self) -> Path:
        # Not kept: the web server forks its processes.
        folder: Path = settings.STATE_DIR / "metrics"
        return folder / f"{socket.gethostname()}-{os.getpid()}.json"

    def _write_on(self) -> None:
        while True:
            self.write()
            time.sleep(_EVERY_S)


replies = ReplyCounts()
