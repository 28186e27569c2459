"""Log of the calls to TradingView, shared by all processes, with notes such as the cool-down.

The log is a SQLite file for the processes of one machine, and on Redis for several machines.
All writers use one clock that cannot be set: the machine's monotonic clock for the file, the
clock of Redis for Redis. A wrong or corrected clock of a host therefore changes no wait.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, Protocol
from uuid import uuid4

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

# The longest wait for Redis, and for another process' lock on the file.
_REDIS_TIMEOUT_S = 3.0
_SQLITE_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class Window:
    """Sliding window: in any `ms` milliseconds, at most `n_calls` begin."""

    n_calls: int
    ms: int


class Look(NamedTuple):
    """Milliseconds until the next call may begin, and the number of calls that may begin now."""

    wait_ms: int
    n_left: int


class Note(NamedTuple):
    """A text with a limited life, and the seconds left of it."""

    text: str
    left_s: float


class CallLog(Protocol):
    """Log of calls by purpose; each purpose has windows of its own. Raises the errors of its store."""

    def take(self, purpose: str, *, next_within_ms: int = 0) -> Look:
        """Log a call if it may begin now; `wait_ms` is then 0.

        With `next_within_ms` it may begin only if another call may begin at most that much later.
        """

    def look(self, purpose: str) -> Look:
        """Return the result of `take` without logging a call."""

    def keep(self, name: str, text: str, seconds: float) -> None:
        """Keep a note for `seconds`; it replaces an earlier note of this name."""

    def note(self, name: str) -> Note | None:
        """Return the note of this name; None when there is none or its time is over."""

    def drop(self, name: str) -> None:
        """Delete the note of this name."""


class FileLog:
    """The log in a SQLite file.

    Each use opens the file, which costs little beside a call to TradingView. Threads and forks
    therefore share no connection, and a deleted file is created again.
    """

    _TABLES = (
        "CREATE TABLE IF NOT EXISTS calls (purpose TEXT, at_ms INTEGER)",
        "CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, text TEXT, from_ms INTEGER, ms INTEGER)",
    )  # fmt: skip

    def __init__(self, path: Path, windows: Sequence[Window]) -> None:
        self._path = path
        self._windows = windows

    def take(self, purpose: str, *, next_within_ms: int = 0) -> Look:
        with self._opened() as database:
            now = _now_ms()
            found = self._look(database, purpose, now, next_within_ms)
            if not found.wait_ms:
                database.execute("INSERT INTO calls VALUES (?, ?)", (purpose, now))
        return found

    def look(self, purpose: str) -> Look:
        with self._opened() as database:
            return self._look(database, purpose, _now_ms())

    def keep(self, name: str, text: str, seconds: float) -> None:
        row = (name, text, _now_ms(), round(seconds * 1000))
        with self._opened() as database:
            database.execute("INSERT OR REPLACE INTO notes VALUES (?, ?, ?, ?)", row)

    def note(self, name: str) -> Note | None:
        with self._opened() as database:
            found = database.execute("SELECT text, from_ms, ms FROM notes WHERE name = ?", (name,))
            for text, from_ms, ms in found:
                left_ms = from_ms + ms - _now_ms()
                return Note(text, left_ms / 1000) if left_ms > 0 else None
        return None

    def drop(self, name: str) -> None:
        with self._opened() as database:
            database.execute("DELETE FROM notes WHERE name = ?", (name,))

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one step; no other process writes during it."""
        opened = sqlite3.connect(self._path, timeout=_SQLITE_TIMEOUT_S, isolation_level=None)
        with closing(opened) as database:
            for table in self._TABLES:
                database.execute(table)
            database.execute("BEGIN IMMEDIATE")
            for table, column in (("calls", "at_ms"), ("notes", "from_ms")):
                # A later instant is from before a restart of the machine, which resets its clock.
                database.execute(f"UPDATE {table} SET {column} = ?1 WHERE {column} > ?1", (_now_ms(),))  # fmt: skip
            yield database
            database.execute("COMMIT")

    def _look(
        self, database: sqlite3.Connection, purpose: str, now: int, next_within_ms: int = 0
    ) -> Look:
        oldest = now - max((window.ms for window in self._windows), default=0)
        database.execute("DELETE FROM calls WHERE at_ms <= ?", (oldest,))
        newest_first = "SELECT at_ms FROM calls WHERE purpose = ? ORDER BY at_ms DESC"
        calls = [row[0] for row in database.execute(newest_first, (purpose,))]
        wait_ms, n_left = 0, min(window.n_calls for window in self._windows)
        for window in self._windows:
            n_calls = sum(at > now - window.ms for at in calls)
            if n_calls >= window.n_calls:
                # Wait until the oldest of the last `n_calls` calls has left the window.
                wait_ms = max(wait_ms, calls[window.n_calls - 1] + window.ms - now)
            if next_within_ms and 0 <= window.n_calls - 2 < len(calls):
                leaves_at = calls[window.n_calls - 2] + window.ms
                wait_ms = max(wait_ms, leaves_at - next_within_ms - now)
            n_left = min(n_left, max(0, window.n_calls - n_calls))
        return Look(wait_ms, n_left)


def _now_ms() -> int:
    return time.monotonic_ns() // 1_000_000


# `FileLog.take` and `look` as a script. KEYS: the log. ARGV: the call's name or "", the time
# within which another call may begin or 0, then the two numbers of each window.
_TAKE = """
local log, name, within = KEYS[1], ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
for _, call in ipairs(redis.call('ZRANGEBYSCORE', log, '(' .. now, '+inf')) do
    redis.call('ZADD', log, now, call)
end
local longest, wait, left = 0, 0, math.huge
for i = 3, #ARGV, 2 do longest = math.max(longest, tonumber(ARGV[i + 1])) end
redis.call('ZREMRANGEBYSCORE', log, '-inf', now - longest)
for i = 3, #ARGV, 2 do
    local limit, ms = tonumber(ARGV[i]), tonumber(ARGV[i + 1])
    local n = redis.call('ZCOUNT', log, '(' .. (now - ms), '+inf')
    if n >= limit then
        local filling = redis.call('ZREVRANGE', log, limit - 1, limit - 1, 'WITHSCORES')
        wait = math.max(wait, tonumber(filling[2]) + ms - now)
    end
    if within > 0 and limit > 1 then
        local leaving = redis.call('ZREVRANGE', log, limit - 2, limit - 2, 'WITHSCORES')
        if leaving[2] then wait = math.max(wait, tonumber(leaving[2]) + ms - within - now) end
    end
    left = math.min(left, math.max(0, limit - n))
end
if name ~= '' and wait == 0 then
    redis.call('ZADD', log, now, name)
    redis.call('PEXPIRE', log, longest)
end
return {wait, left}
"""


class RedisLog:
    """The log on Redis."""

    def __init__(self, url: str, windows: Sequence[Window]) -> None:
        self._numbers = [number for window in windows for number in (window.n_calls, window.ms)]
        self._redis = Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=_REDIS_TIMEOUT_S,
            socket_connect_timeout=_REDIS_TIMEOUT_S,
            # One retry: a restart of the server cuts the connection.
            retry=Retry(NoBackoff(), 1),
        )
        # The client sends the script again to a server that has lost it.
        self._take = self._redis.register_script(_TAKE)

    def take(self, purpose: str, *, next_within_ms: int = 0) -> Look:
        return self._run(purpose, uuid4().hex, next_within_ms)

    def look(self, purpose: str) -> Look:
        return self._run(purpose, "")

    def keep(self, name: str, text: str, seconds: float) -> None:
        self._redis.set(_key(name), text, px=round(seconds * 1000))

    def note(self, name: str) -> Note | None:
        text, left_ms = self._redis.get(_key(name)), self._redis.pttl(_key(name))
        return Note(str(text), left_ms / 1000) if text is not None and left_ms > 0 else None

    def drop(self, name: str) -> None:
        self._redis.delete(_key(name))

    def _run(self, purpose: str, name: str, next_within_ms: int = 0) -> Look:
        args: list[str | int | float] = [name, next_within_ms, *self._numbers]
        wait_ms, n_left = self._take(keys=[_key(purpose)], args=args)
        return Look(int(wait_ms), int(n_left))


def _key(name: str) -> str:
    return f"tradingview-throttle-{name}"
