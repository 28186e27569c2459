"""The web server of a benchmark, with its use of processor and memory."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.support.stacks import ROOT, Stack, free_port, wait_until


class Server:
    """The web server as `make run` starts it, with additional views for comparison."""

    def __init__(self, stack: Stack, *, checkout: Path = ROOT, threads: int = 0) -> None:
        self.port = free_port()
        env = {"DJANGO_SETTINGS_MODULE": "benchmarks.settings", "WEB_WORKERS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tvproject.server", "--port", str(self.port)],
            cwd=checkout,
            env=stack.env
            | env
            | {"PYTHONPATH": str(checkout)}
            | ({"WEB_THREADS": str(threads)} if threads else {}),
        )
        stack.url = f"http://127.0.0.1:{self.port}"
        wait_until(stack.answers, what="the server's first answer")

    def cpu_s(self) -> float:
        """Return the processor seconds used by the server and its workers."""
        return cpu_s_of(self._process.pid)

    def memory_mb(self) -> float:
        """Return the resident memory of the server's processes."""
        kilobytes = 0
        for path in Path("/proc").glob("[0-9]*/status"):
            try:
                text = path.read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            found = dict(re.findall(r"^(Pid|PPid|VmRSS):\s+(\d+)", text, re.M))
            if str(self._process.pid) in (found.get("Pid"), found.get("PPid")):
                kilobytes += int(found.get("VmRSS", 0))
        return kilobytes / 1024

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(timeout=20)


def cpu_s_of(process: int) -> float:
    """Return the processor seconds used by a process and its children."""
    ticks = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rsplit(")", 1)[1].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        pid, parent = int(path.parent.name), int(fields[1])
        if process in (pid, parent):
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
