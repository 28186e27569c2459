"""Parts of an installation: programs on hosts, each of which can be killed, stopped, cut and restarted."""

from __future__ import annotations

import os
import pwd
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from tests.support.many_hosts.network import Host
from tests.support.stacks import wait_until

_END_S = 20.0


class Part:
    """A program on a host.

    Parameters
    ----------
    name
        The name in the tables, such as `worker 1`.
    host
        The host that runs the program.
    arguments
        The program and its arguments.
    log
        The file of its output.
    answers
        Whether the program can be used; called while it starts.
    env
        Variables beside those of this process.
    user
        The user that runs it; by default the user of this process.
    end
        The signal that ends it properly.
    """

    def __init__(
        self,
        name: str,
        host: Host,
        arguments: list[str],
        *,
        log: Path,
        answers: Callable[[], bool] = lambda: True,
        env: Mapping[str, str] | None = None,
        user: str | None = None,
        end: signal.Signals = signal.SIGTERM,
        folder: Path = Path("/"),
    ) -> None:
        self.name = name
        self.host = host
        self._log = log
        self._answers = answers
        self._env = dict(os.environ) | dict(env or {})
        self._end = end
        self._folder = folder
        as_user = (
            ["setpriv", f"--reuid={user}", f"--regid={_group_of(user)}", "--clear-groups"]
            if user
            else []
        )
        self._arguments = [*host.prefix, *as_user, *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pids(self) -> list[int]:
        """The process ids of the program and all its child processes; empty before its start."""
        return _tree(self._process.pid) if self._process and self._process.poll() is None else []

    def memory_mb(self) -> float:
        """Return the memory of all its processes in MB, shared pages divided between their users (PSS)."""
        texts = [Path(f"/proc/{pid}/smaps_rollup").read_text() for pid in self.pids]
        sizes = [
            line.split()[1]
            for text in texts
            for line in text.splitlines()
            if line.startswith("Pss:")
        ]
        return sum(map(int, sizes)) / 1024

    def n_connections(self, port: int) -> int:
        """Return the number of the host's open TCP connections to a port."""
        shown = subprocess.run(
            [*self.host.prefix, "ss", "-Htn", "state", "established", f"( dport = :{port} )"],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return len(shown.stdout.splitlines())

    def start(self, *, wait: bool = True) -> None:
        """Start the program, and wait until it can be used."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._arguments, env=self._env, cwd=self._folder, stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
        if wait:
            self.wait()

    def wait(self) -> None:
        """Wait until the program can be used."""
        wait_until(self._answers, seconds=90, what=f"the start of {self.name}")

    def kill(self) -> None:
        """End the program and its child processes at once, as a power cut does."""
        self._send(signal.SIGKILL)
        self._wait_for_end()

    def end(self) -> None:
        """End the program properly; after 20 s kill it."""
        if self._process is None:
            return
        children = self.pids
        self._process.send_signal(self._end)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=_END_S)
        _signal(children, signal.SIGKILL)
        self._wait_for_end()

    def freeze(self) -> None:
        """Stop the program's processes where they are: connections stay open, and no reply comes."""
        self._send(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let a stopped program go on."""
        self._send(signal.SIGCONT)

    def _send(self, number: signal.Signals) -> None:
        _signal(self.pids, number)

    def _wait_for_end(self) -> None:
        if self._process is not None:
            self._process.wait(timeout=_END_S)
            time.sleep(0.1)


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def _tree(pid: int) -> list[int]:
    """Return the process ids of a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for each in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            # The name between the parentheses can contain spaces.
            parent = int(each.read_text().rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(each.parent.name))
    found = [pid]
    for each_pid in found:
        found += children.get(each_pid, [])
    return found


def _group_of(user: str) -> int:
    return pwd.getpwnam(user).pw_gid
