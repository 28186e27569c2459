"""Supervision of child processes: start, output, restart, and an end for all of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import NoReturn, TypeVar

_LEASH = Path(__file__).with_name("leash.py")
_STOP_DEADLINE_S = 10.0
_GLANCE_S = 0.05
# A process that ends more often than this is not restarted: restarting cannot help it.
_MAX_RESTARTS = 5
_RESTARTS_WITHIN_S = 60.0

Answer = TypeVar("Answer")
Show = Callable[[str, str], None]


class StopAsked(Exception):
    """The operator pressed Ctrl-C, sent SIGTERM or closed the terminal."""


class Ended(Exception):
    """A process ended that should have run on; the message contains its name and exit status."""


class TooSlow(Exception):
    """A condition was not met before its deadline."""


class Process:
    """One Python program in its own session, so that Ctrl-C reaches only the supervisor.

    An errand writes to the terminal directly and should end. A service should not end; its
    lines are shown with its name.
    """

    def __init__(
        self, name: str, *arguments: str, env: Mapping[str, str], is_errand: bool = False
    ) -> None:
        self.name = name
        self.is_errand = is_errand
        self.is_dismissed = False
        self.announcement = ""
        self._process = subprocess.Popen(
            [sys.executable, "-IS", _LEASH, str(os.getpid()), sys.executable, *arguments],
            env={**os.environ, **env, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=None if is_errand else subprocess.PIPE,
            stderr=None if is_errand else subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    @property
    def status(self) -> int | None:
        """The exit status; minus the signal's number after a kill; None while the process runs."""
        return self._process.returncode

    @property
    def is_done(self) -> bool:
        """Whether the process ended as intended."""
        return self.is_dismissed or (self.is_errand and self.status == 0)

    def read_lines(self, show: Show) -> None:
        """Show each line until the last process that holds the pipe ends.

        The first line of JSON is not shown: a service announces its addresses with it.
        """
        for line in self._process.stdout or ():
            if line.startswith("{") and not self.announcement:
                self.announcement = line
            elif line.strip():
                show(self.name, line.rstrip())

    def wait(self) -> None:
        """Wait for the end of the process, then kill the rest of its group."""
        self._process.wait()
        self.kill()

    def stop(self) -> None:
        """Send SIGTERM to the process; it stops its own children."""
        self._process.terminate()

    def kill(self) -> None:
        """Kill the process and its whole group."""
        # The process's id is also its group's id. The group may outlive the process, or be gone.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def how_it_ended(self) -> str:
        """Return a sentence with the process's name and exit status or signal."""
        status = self.status or 0
        if status < 0:
            return f"{self.name} was killed by {signal.Signals(-status).name}."
        return f"{self.name} ended with exit status {status}."


class Crew:
    """Processes that run and end together."""

    def __init__(self, show: Show) -> None:
        self._show = show
        # Filled by signal handlers and threads. Only `SimpleQueue` allows `put` in a signal
        # handler while the same thread waits in `get`.
        self._events: SimpleQueue[Process | signal.Signals] = SimpleQueue()
        self._members: list[Process] = []
        self._threads: list[Thread] = []
        self._starts: dict[Process, Callable[[], Process]] = {}
        self._restarted_at: list[float] = []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # Under `nohup` a closed terminal must not stop the service.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda n, _: self._events.put(signal.Signals(n)))

    def add(self, process: Process) -> Process:
        """Supervise a process: show its lines and report its end; return the process."""
        self._members.append(process)

        def report_end() -> None:
            process.wait()
            self._events.put(process)

        for work in (lambda: process.read_lines(self._show), report_end):
            thread = Thread(target=work, daemon=True)
            thread.start()
            self._threads.append(thread)
        return process

    def keep(self, start: Callable[[], Process]) -> None:
        """Start a process, and restart it when it ends, unless it ends too often."""
        self._starts[self.add(start())] = start

    def wait_for(
        self, look: Callable[[], Answer | None], *, deadline_s: float, what: str
    ) -> Answer:
        """Call `look` until it returns a value other than None; return that value.

        Raises `StopAsked` or `Ended` when a reason to stop comes first, `TooSlow` at the deadline.
        """
        deadline = time.monotonic() + deadline_s
        while (answer := look()) is None:
            if time.monotonic() >= deadline:
                raise TooSlow(f"{what} did not come within {deadline_s:g} s.")
            self._listen(_GLANCE_S)
        return answer

    def watch(self) -> NoReturn:
        """Wait for a reason to stop; raises `StopAsked` or `Ended`."""
        while True:
            self._listen(None)

    def watch_for(self, seconds: float) -> None:
        """Wait for `seconds`; raise `StopAsked` or `Ended` when a reason to stop comes first."""
        deadline = time.monotonic() + seconds
        while (left_s := deadline - time.monotonic()) > 0:
            self._listen(left_s)

    def dismiss(self, *names: str) -> None:
        """Stop the named processes and wait for their end; the others run on."""
        processes = [process for process in self._running() if process.name in names]
        for process in processes:
            process.is_dismissed = True
            process.stop()
        with suppress(TooSlow):
            self.wait_for(
                lambda: all(process.status is not None for process in processes) or None,
                deadline_s=_STOP_DEADLINE_S,
                what="The end of the processes",
            )
        for process in processes:
            process.kill()

    def _listen(self, timeout_s: float | None) -> None:
        with suppress(Empty):
            event = self._events.get(timeout=timeout_s)
            if isinstance(event, signal.Signals):
                raise StopAsked(event.name)
            if not event.is_done:
                self._start_again(event)

    def _start_again(self, ended: Process) -> None:
        """Restart a kept process; raise `Ended` for any other process, and after too many restarts."""
        start = self._starts.pop(ended, None)
        if start is None:
            raise Ended(ended.how_it_ended())
        now = time.monotonic()
        recent = [moment for moment in self._restarted_at if moment > now - _RESTARTS_WITHIN_S]
        if len(recent) >= _MAX_RESTARTS:
            raise Ended(f"{ended.how_it_ended()} It had been restarted {len(recent)} times.")
        self._restarted_at = [*recent, now]
        self._members.remove(ended)
        self._show("", f"{ended.how_it_ended()} It is restarted.")
        self.keep(start)

    def stop(self) -> None:
        """Stop every process: SIGTERM first, SIGKILL after a deadline or at a second Ctrl-C."""
        for process in self._members:
            process.stop()
        deadline = time.monotonic() + _STOP_DEADLINE_S
        while self._running() and (left_s := deadline - time.monotonic()) > 0:
            with suppress(Empty):
                if self._events.get(timeout=left_s) == signal.SIGINT:
                    break
        for process in self._running():
            process.kill()
        for thread in self._threads:
            thread.join(timeout=_STOP_DEADLINE_S)

    def _running(self) -> list[Process]:
        return [process for process in self._members if process.status is None]
