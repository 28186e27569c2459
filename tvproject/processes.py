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
from types import FrameType
from typing import TypeVar

_LEASH = Path(__file__).with_name("leash.py")
_STOP_DEADLINE_S = 10.0
_GLANCE_S = 0.05

Answer = TypeVar("Answer")


class StopAsked(Exception):
    """Ctrl-C, SIGTERM, or the terminal was closed."""


class Ended(Exception):
    """A process that should run on has ended; the message says which and how."""


class TooSlow(Exception):
    """What was waited for did not come in time."""


class Process:
    """One Python program in a session of its own, so that Ctrl-C reaches only us."""

    def __init__(self, name: str, *arguments: str, env: Mapping[str, str], is_piped: bool) -> None:
        self.name = name
        self.lines: SimpleQueue[str] = SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-IS", _LEASH, str(os.getpid()), sys.executable, *arguments],
            env={**os.environ, **env, "PYTHONUNBUFFERED": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if is_piped else None,
            stderr=subprocess.STDOUT if is_piped else None,
            text=True,
            errors="replace",
            start_new_session=True,
        )

    @property
    def status(self) -> int | None:
        """The exit status, minus the signal's number if one killed it, None while it runs."""
        return self._process.returncode

    def show_lines(self, show: Callable[[str, str], None]) -> None:
        """Pass on every line until the last process that holds the pipe has ended."""
        for line in self._process.stdout or ():
            show(self.name, line.rstrip())

    def wait(self) -> None:
        """Wait for the end of the process, and end what it left behind."""
        self._process.wait()
        self.kill()

    def stop(self) -> None:
        """Ask the process to stop; it stops those it started itself, in its own order."""
        if self.status is None:
            self._process.terminate()

    def kill(self) -> None:
        """End the process and all that it started, now."""
        # Its id is that of its group. The group may outlive it, or be gone.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def how_it_ended(self) -> str:
        """Say which process ended, and how."""
        if self.status is not None and self.status < 0:
            return f"{self.name} was killed by {signal.Signals(-self.status).name}."
        return f"{self.name} ended with exit status {self.status}."
