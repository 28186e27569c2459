"""Start processes together, show what they say, and leave none of them behind."""

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
# A process that ends more often than this is not started again: something is wrong with it.
_MAX_RESTARTS = 5
_RESTARTS_WITHIN_S = 60.0

Answer = TypeVar("Answer")
Show = Callable[[str, str], None]


class StopAsked(Exception):
    """Ctrl-C, SIGTERM, or the terminal was closed."""


class Ended(Exception):
    """A process that should run on has ended; the message says which and how."""


class TooSlow(Exception):
    """What was waited for did not come in time."""


class Process:
    """One Python program, in a session of its own so that Ctrl-C reaches only us.

    An errand has the terminal to itself and should end; a service has its lines shown under
    its name and should not.
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
        """The exit status, minus the signal's number if one killed it, None while it runs."""
        return self._process.returncode

    @property
    def is_done(self) -> bool:
        """Whether it ended as it should."""
        return self.is_dismissed or (self.is_errand and self.status == 0)

    def read_lines(self, show: Show) -> None:
        """Show each line until the last process that holds the pipe ends.

        A first line of JSON is for us: by it a service announces where it listens.
        """
        for line in self._process.stdout or ():
            if line.startswith("{") and not self.announcement:
                self.announcement = line
            elif line.strip():
                show(self.name, line.rstrip())

    def wait(self) -> None:
        """Wait for the end of the process, and end what it left behind."""
        self._process.wait()
        self.kill()

    def stop(self) -> None:
        """Ask the process to stop, and to stop what it started itself."""
        self._process.terminate()

    def kill(self) -> None:
        """End the process and all that it started, now."""
        # Its id is its group's too. The group may outlive it, and may be gone.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def how_it_ended(self) -> str:
        """Say which process ended, and how."""
        status = self.status or 0
        if status < 0:
            return f"{self.name} was killed by {signal.Signals(-status).name}."
        return f"{self.name} ended with exit status {status}."


class Crew:
    """Processes that live and end together."""

    def __init__(self, show: Show) -> None:
        self._show = show
        # What a signal handler and the threads report; of all queues only this kind may be
        # put to while the same thread waits in `get`.
        self._events: SimpleQueue[Process | signal.Signals] = SimpleQueue()
        self._members: list[Process] = []
        self._threads: list[Thread] = []
        self._starts: dict[Process, Callable[[], Process]] = {}
        self._restarted_at: list[float] = []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            # `nohup` means that a closed terminal is no reason to stop.
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, lambda n, _: self._events.put(signal.Signals(n)))

    def add(self, process: Process) -> Process:
        """Take care of a process from now on; return it."""
        self._members.append(process)
        for work in (lambda: process.read_lines(self._show), lambda: self._report_end(process)):
            thread = Thread(target=work, daemon=True)
            thread.start()
            self._threads.append(thread)
        return process

    def keep(self, start: Callable[[], Process]) -> None:
        """Start a process, and start it again when it ends, unless that happens too often."""
        self._starts[self.add(start())] = start

    def _report_end(self, process: Process) -> None:
        process.wait()
        self._events.put(process)

    def wait_for(
        self, look: Callable[[], Answer | None], *, deadline_s: float, what: str
    ) -> Answer:
        """Return what `look` finds as soon as it finds something.

        Raises `StopAsked` or `Ended` when that happens first, and `TooSlow` at the deadline.
        """
        deadline = time.monotonic() + deadline_s
        while (answer := look()) is None:
            if time.monotonic() >= deadline:
                raise TooSlow(f"{what} did not come within {deadline_s:g} s.")
            self._listen(_GLANCE_S)
        return answer

    def watch(self) -> NoReturn:
        """Wait until there is a reason to stop, and raise it: `StopAsked` or `Ended`."""
        while True:
            self._listen(None)

    def watch_for(self, seconds: float) -> None:
        """Wait for `seconds`; raise `StopAsked` or `Ended` when that happens first."""
        deadline = time.monotonic() + seconds
        while (left_s := deadline - time.monotonic()) > 0:
            self._listen(left_s)

    def dismiss(self, *names: str) -> None:
        """Stop the processes of these names and wait for their end; the others go on."""
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
        """Start a kept process again; raise `Ended` for another one, and when it ends too often."""
        start = self._starts.pop(ended, None)
        if start is None:
            raise Ended(ended.how_it_ended())
        now = time.monotonic()
        recent = [moment for moment in self._restarted_at if moment > now - _RESTARTS_WITHIN_S]
        if len(recent) >= _MAX_RESTARTS:
            raise Ended(f"{ended.how_it_ended()} It had been started again {len(recent)} times.")
        self._restarted_at = [*recent, now]
        self._members.remove(ended)
        self._show("", f"{ended.how_it_ended()} It is started again.")
        self.keep(start)

    def stop(self) -> None:
        """Stop every process: first asked, after a while made to, at once at a second Ctrl-C."""
        for process in self._members:
            process.stop()
        self._wait_until_ended()
        for process in self._running():
            process.kill()
        for thread in self._threads:
            thread.join(timeout=_STOP_DEADLINE_S)

    def _wait_until_ended(self) -> None:
        deadline = time.monotonic() + _STOP_DEADLINE_S
        while self._running() and (left_s := deadline - time.monotonic()) > 0:
            with suppress(Empty):
                if self._events.get(timeout=left_s) == signal.SIGINT:
                    return

    def _running(self) -> list[Process]:
        return [process for process in self._members if process.status is None]
